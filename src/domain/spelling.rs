//! One spelling per value, for the wire, the database and the log.

/// A text that is none of the spellings of its type. It does not carry the text: that may come from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known {kind}")]
pub struct UnknownSpelling {
    /// The type whose spellings were tried.
    pub kind: &'static str,
}

/// Declares an enum whose variants have exactly one spelling: `as_str`, `Display`, `FromStr` and serde agree
/// by construction.
macro_rules! spelled {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $text:literal ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $text)] $variant, )+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),+];

            /// The spelling on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text ),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::UnknownSpelling;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $text => Ok(Self::$variant), )+
                    _ => Err($crate::domain::UnknownSpelling { kind: stringify!($name) }),
                }
            }
        }
    };
}
pub(crate) use spelled;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    spelled! {
        /// A sample.
        pub enum Light { /// Stop.
            Red = "red", /// Go.
            DarkGreen = "dark_green" }
    }

    #[test]
    fn the_four_spellings_agree() {
        for light in Light::ALL {
            let text = light.as_str();
            assert_eq!(text.parse::<Light>().unwrap(), *light);
            assert_eq!(light.to_string(), text);
            assert_eq!(serde_json::to_string(light).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Light>(&format!("\"{text}\"")).unwrap(), *light);
        }
        let unknown = "RED".parse::<Light>().unwrap_err();
        assert_eq!(unknown.to_string(), "not a known Light");
    }
}
