//! Who may do what. Denied unless the table says otherwise.
//!
//! The lines between the roles:
//! - A **clinician** treats patients: charts, orders, results, alerts. Nothing technical, and no merging of charts.
//! - A **lab manager** answers for the laboratory: orders and results, limits and catalogue, the review queue and merges.
//! - An **interface engineer** keeps the lines running: messages, endpoints, dead letters. Raw messages are patient data, so reading
//!   one is an action of its own; charts are not needed for the work and stay closed.
//! - A **privacy officer** watches the others: the access log and who a patient is, and nothing that changes a chart.
//! - An **admin** runs the installation: users, keys, endpoints. Setting limits is a clinical decision, so it is not among them, and
//!   neither is reading a chart.
//! - A **service** is a machine that delivers messages and results and places orders. It never acknowledges an alert.
//! - The **developer** stands for whoever calls while nobody signs in, on one machine with made-up data, and may do everything.

use super::spelling::spelled;

spelled! {
    /// What a user is here for.
    pub enum Role {
        /// Treats patients.
        Clinician = "clinician",
        /// Answers for the laboratory.
        LabManager = "lab_manager",
        /// Keeps the interfaces running.
        InterfaceEngineer = "interface_engineer",
        /// Watches over access to patient data.
        PrivacyOfficer = "privacy_officer",
        /// Runs the installation.
        Admin = "admin",
        /// A machine.
        Service = "service",
        /// Nobody signed in (`PMS_AUTH=dev`). May do everything; no user can be given it.
        Developer = "developer",
    }
}

impl Role {
    /// Whether a user may be given the role.
    pub fn is_assignable(self) -> bool {
        self != Self::Developer
    }
}

spelled! {
    /// What can be done. The spelling stands in the access log.
    pub enum Action {
        /// Begin a session, or fail to.
        SignIn = "sign_in",
        /// End all sessions.
        SignOut = "sign_out",
        /// Identity and demographics.
        ReadPatient = "read_patient",
        /// Register and update.
        WritePatient = "write_patient",
        /// Merge and unmerge charts.
        MergePatients = "merge_patients",
        /// Set or lift the restriction on a chart.
        RestrictPatient = "restrict_patient",
        /// Open a restricted chart in an emergency, stating why.
        BreakGlass = "break_glass",
        /// Visits.
        ReadEncounter = "read_encounter",
        /// Visits.
        WriteEncounter = "write_encounter",
        /// Orders and their timeline.
        ReadOrder = "read_order",
        /// New orders.
        PlaceOrder = "place_order",
        /// Call an order off.
        CancelOrder = "cancel_order",
        /// Put the message of a failed order back into the queue.
        ResendOrder = "resend_order",
        /// Results, history, trends, documents, FHIR.
        ReadResult = "read_result",
        /// Store results by REST.
        WriteResult = "write_result",
        /// Sign results as reviewed.
        ReviewResult = "review_result",
        /// Alerts and their stream.
        ReadAlert = "read_alert",
        /// Take an alert on.
        AcknowledgeAlert = "acknowledge_alert",
        /// Medication, and what it means for results.
        ReadPrescription = "read_prescription",
        /// Medication.
        WritePrescription = "write_prescription",
        /// The message log without contents.
        ReadMessage = "read_message",
        /// The contents of a message.
        ReadRawMessage = "read_raw_message",
        /// Run a message again, or send it again.
        ReplayMessage = "replay_message",
        /// Tell a system that asked for it of a visit or an appointment.
        PublishMessage = "publish_message",
        /// Deliver a message by HTTP.
        SubmitHl7 = "submit_hl7",
        /// Try a message out without storing it.
        PreviewHl7 = "preview_hl7",
        /// What could not be delivered.
        ReadDeadLetter = "read_dead_letter",
        /// Retry or discard it.
        HandleDeadLetter = "handle_dead_letter",
        /// What waits for a decision about its patient.
        ReadReviewQueue = "read_review_queue",
        /// Decide.
        ResolveReview = "resolve_review",
        /// Configuration of the interfaces.
        ReadEndpoint = "read_endpoint",
        /// Change, test, pause.
        WriteEndpoint = "write_endpoint",
        /// Tests and code maps.
        ReadCatalogue = "read_catalogue",
        /// Tests.
        WriteCatalogue = "write_catalogue",
        /// What local codes mean.
        WriteCodeMap = "write_code_map",
        /// Critical limits.
        ReadThreshold = "read_threshold",
        /// Critical limits.
        WriteThreshold = "write_threshold",
        /// Aggregated figures.
        ReadReport = "read_report",
        /// Health and throughput of the installation.
        ReadOps = "read_ops",
        /// The access log and its verification.
        ReadAudit = "read_audit",
        /// Users and roles.
        ManageUsers = "manage_users",
        /// Keys of machines.
        ManageApiKeys = "manage_api_keys",
    }
}

/// The table. Exhaustive over the actions: a new one does not compile until somebody has decided who may do
/// it.
#[allow(
    clippy::match_same_arms,
    reason = "one line per subject reads as a table; merged by roles it would not"
)]
const fn roles_for(action: Action) -> &'static [Role] {
    use Role::{Admin, Clinician, InterfaceEngineer, LabManager, PrivacyOfficer, Service};
    match action {
        Action::SignIn | Action::SignOut => {
            &[Clinician, LabManager, InterfaceEngineer, PrivacyOfficer, Admin, Service]
        }
        Action::ReadPatient => &[Clinician, LabManager, PrivacyOfficer, Service],
        Action::WritePatient | Action::WriteEncounter => &[Clinician, LabManager, Service],
        Action::MergePatients | Action::ReadReviewQueue | Action::ResolveReview => &[LabManager],
        Action::RestrictPatient => &[PrivacyOfficer],
        Action::BreakGlass => &[Clinician, LabManager],
        Action::ReadEncounter => &[Clinician, LabManager, Service],

        Action::ReadOrder | Action::PlaceOrder | Action::CancelOrder => &[Clinician, LabManager, Service],
        Action::ResendOrder => &[Clinician, LabManager, InterfaceEngineer],
        Action::ReadResult => &[Clinician, LabManager, Service],
        Action::WriteResult => &[LabManager, Service],
        Action::ReviewResult | Action::AcknowledgeAlert => &[Clinician, LabManager],
        Action::ReadAlert => &[Clinician, LabManager],
        Action::ReadPrescription => &[Clinician, LabManager],
        Action::WritePrescription => &[Clinician],

        Action::ReadMessage => &[LabManager, InterfaceEngineer],
        Action::ReadRawMessage | Action::ReplayMessage => &[InterfaceEngineer],
        Action::PublishMessage => &[Service],
        Action::SubmitHl7 => &[InterfaceEngineer, Service],
        Action::PreviewHl7 => &[InterfaceEngineer],
        Action::ReadDeadLetter | Action::HandleDeadLetter => &[LabManager, InterfaceEngineer],

        Action::ReadEndpoint => &[LabManager, InterfaceEngineer, Admin],
        Action::WriteEndpoint => &[InterfaceEngineer, Admin],
        Action::ReadCatalogue => &[Clinician, LabManager, InterfaceEngineer, PrivacyOfficer, Admin, Service],
        Action::WriteCatalogue => &[LabManager, Admin],
        Action::WriteCodeMap => &[LabManager, InterfaceEngineer, Admin],
        Action::ReadThreshold => &[Clinician, LabManager, InterfaceEngineer, Admin],
        Action::WriteThreshold => &[LabManager],

        Action::ReadReport => &[Clinician, LabManager, PrivacyOfficer, Admin],
        Action::ReadOps => &[LabManager, InterfaceEngineer, Admin],
        Action::ReadAudit => &[PrivacyOfficer, Admin],
        Action::ManageUsers | Action::ManageApiKeys => &[Admin],
    }
}

/// Whether the role may do it.
pub fn allowed(role: Role, action: Action) -> bool {
    role == Role::Developer || roles_for(action).contains(&role)
}

/// Everything a role may do, for a client that shows only what can be used.
pub fn permitted(role: Role) -> impl Iterator<Item = Action> {
    Action::ALL.iter().copied().filter(move |action| allowed(role, *action))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Among those who can sign in.
    fn who(action: Action) -> Vec<&'static str> {
        let roles = Role::ALL.iter().filter(|role| role.is_assignable() && allowed(**role, action));
        roles.map(|role| role.as_str()).collect()
    }

    #[test]
    fn the_developer_may_everything_and_can_be_nobodys_role() {
        assert_eq!(permitted(Role::Developer).count(), Action::ALL.len());
        let unassignable: Vec<_> = Role::ALL.iter().filter(|role| !role.is_assignable()).collect();
        assert_eq!(unassignable, [&Role::Developer]);
    }

    #[test]
    fn everybody_can_come_and_go() {
        assert_eq!((who(Action::SignIn).len(), who(Action::SignOut).len()), (6, 6));
    }

    #[test]
    fn every_action_has_somebody_and_every_role_something() {
        for action in Action::ALL {
            assert!(!who(*action).is_empty(), "{action}");
        }
        for role in Role::ALL {
            assert!(permitted(*role).count() > 0, "{role}");
        }
    }

    #[test]
    fn those_who_run_the_system_do_not_read_charts() {
        let chart = [
            Action::ReadResult,
            Action::ReadOrder,
            Action::ReadAlert,
            Action::ReadEncounter,
            Action::ReadPrescription,
            Action::ReadReviewQueue,
        ];
        for role in [Role::InterfaceEngineer, Role::PrivacyOfficer, Role::Admin] {
            for action in chart {
                assert!(!allowed(role, action), "{role} {action}");
            }
        }
    }

    #[test]
    fn the_privacy_officer_changes_no_chart() {
        let may: Vec<Action> = permitted(Role::PrivacyOfficer).collect();
        assert_eq!(
            may,
            [
                Action::SignIn,
                Action::SignOut,
                Action::ReadPatient,
                Action::RestrictPatient,
                Action::ReadCatalogue,
                Action::ReadReport,
                Action::ReadAudit
            ]
        );
    }

    #[test]
    fn nobody_silences_alerts_who_does_not_answer_for_them() {
        assert_eq!(who(Action::AcknowledgeAlert), ["clinician", "lab_manager"]);
        assert_eq!(who(Action::WriteThreshold), ["lab_manager"]);
    }

    #[test]
    fn the_keys_to_the_house_are_in_few_hands() {
        assert_eq!(who(Action::ManageUsers), ["admin"]);
        assert_eq!(who(Action::ReadRawMessage), ["interface_engineer"]);
        assert_eq!(who(Action::ReadAudit), ["privacy_officer", "admin"]);
    }
}
