//! SFTP servers for the tests: OpenSSH's own, one for each test, and a small one that asks for a password, which OpenSSH would
//! look up in the accounts of this machine.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use russh::{
    Channel, ChannelId, MethodKind, MethodSet,
    keys::{HashAlg, PrivateKey, decode_secret_key},
    server::{self, Auth, ChannelOpenHandle, Msg, Response},
};
use russh_sftp::protocol::{Handle, Name, Status, StatusCode};
use tokio::net::TcpListener;

/// An OpenSSH server; see `tests/throwaway-sshd.sh`.
pub(crate) struct Sshd {
    /// Holds the pipe at whose end the server ends.
    process: Child,
    pub(crate) port: u16,
    pub(crate) account: String,
    dir: PathBuf,
}

impl Sshd {
    /// Starts one with host and client keys of these kinds.
    pub(crate) fn start(host_key: &str, client_key: &str) -> Self {
        let mut process = Command::new("sh")
            .args(["-c", include_str!("../throwaway-sshd.sh"), "throwaway-sshd"])
            .env("HOST_KEY", host_key)
            .env("CLIENT_KEY", client_key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [port, account, dir] = words.as_slice() else {
            let mut text = String::new();
            process.stderr.as_mut().unwrap().read_to_string(&mut text).unwrap();
            panic!("{text}")
        };
        Self { port: port.parse().unwrap(), account: (*account).to_owned(), dir: PathBuf::from(dir), process }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Fingerprint of its host key, by OpenSSH's own tool.
    pub(crate) fn fingerprint(&self) -> String {
        let listed = Command::new("ssh-keygen").arg("-lf").arg(self.path("host.pub")).output().unwrap();
        String::from_utf8(listed.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// The private key that opens it.
    pub(crate) fn client_key(&self) -> String {
        fs::read_to_string(self.path("client")).unwrap()
    }

    /// How often something was written in its log.
    pub(crate) fn logged(&self, words: &str) -> usize {
        fs::read_to_string(self.path("log")).unwrap().matches(words).count()
    }

    /// Names in one of its directories, sorted.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A server with one user, `clinic`, an empty directory, and a password.
pub(crate) struct PasswordServer {
    pub(crate) port: u16,
    pub(crate) fingerprint: String,
    task: tokio::task::JoinHandle<()>,
}

impl PasswordServer {
    /// `asks`: whether the password is taken as the answer to a question only.
    pub(crate) async fn start(password: &'static str, asks: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status();
        assert!(made.unwrap().success());
        let key: PrivateKey = decode_secret_key(&fs::read_to_string(&file).unwrap(), None).unwrap();
        let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let method = if asks { MethodKind::KeyboardInteractive } else { MethodKind::Password };
        let config = Arc::new(server::Config {
            keys: vec![key],
            methods: MethodSet::from([method].as_slice()),
            auth_rejection_time: Duration::ZERO,
            ..server::Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        #[allow(clippy::disallowed_methods, reason = "a test's own task")]
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let guest = Guest { password, asks, channels: HashMap::new() };
                let session = server::run_stream(config.clone(), stream, guest).await;
                if let Ok(session) = session {
                    tokio::spawn(async move { drop(session.await) });
                }
            }
        });
        Self { port, fingerprint, task }
    }
}

impl Drop for PasswordServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Guest {
    password: &'static str,
    asks: bool,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Guest {
    fn judge(&self, user: &str, password: &[u8]) -> Auth {
        if user == "clinic" && password == self.password.as_bytes() { Auth::Accept } else { Auth::reject() }
    }
}

impl server::Handler for Guest {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if self.asks { Auth::reject() } else { self.judge(user, password.as_bytes()) })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut answers) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            });
        };
        Ok(answers.next().map_or_else(Auth::reject, |answer| self.judge(user, &answer)))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        let channel = self.channels.remove(&id).unwrap();
        russh_sftp::server::run(channel.into_stream(), Empty).await;
        Ok(())
    }
}

/// A directory without files.
struct Empty;

impl russh_sftp::server::Handler for Empty {
    type Error = StatusCode;

    fn unimplemented(&self) -> StatusCode {
        StatusCode::OpUnsupported
    }

    async fn opendir(&mut self, id: u32, handle: String) -> Result<Handle, StatusCode> {
        Ok(Handle { id, handle })
    }

    async fn readdir(&mut self, _: u32, _: String) -> Result<Name, StatusCode> {
        Err(StatusCode::Eof)
    }

    async fn close(&mut self, id: u32, _: String) -> Result<Status, StatusCode> {
        let (error_message, language_tag) = (String::new(), String::new());
        Ok(Status { id, status_code: StatusCode::Ok, error_message, language_tag })
    }
}
