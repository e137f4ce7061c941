//! What Meta's error codes mean: to the caller ([`ErrorKind`]) and for trying again
//! ([`RetryClass`]). The tables are the reference's; codes decide, never HTTP statuses or titles.

use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, Failure, UpstreamFault};
use waypost_engine::ports::CallError;

/// What Meta says of a failure, in a reply or in a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: i64,
    pub(crate) subcode: Option<i64>,
    pub(crate) http_status: Option<u16>,
    pub(crate) details: String,
}

/// What a code means to whoever wanted to send. `http_status` counts for unknown codes only.
pub(crate) fn kind_of(code: i64, http_status: Option<u16>) -> ErrorKind {
    match code {
        131_047 => ErrorKind::WindowClosed,
        131_021 | 131_026 | 131_030 => ErrorKind::RecipientUnreachable,
        130_403 | 131_050 => ErrorKind::RecipientBlocked,
        132_001 => ErrorKind::TemplateNotFound,
        132_015 | 132_016 => ErrorKind::TemplateNotApproved,
        132_000 | 132_008 | 132_012 | 132_018 => ErrorKind::TemplateParameterMismatch,
        131_052 | 131_053 => ErrorKind::MediaRejected,
        137_000 => ErrorKind::IdentityMismatch,
        139_000 => ErrorKind::FlowNotFound,
        4 | 80_007 | 130_429 | 131_048 | 131_056 => ErrorKind::RateLimited,
        0
        | 3
        | 10
        | 104
        | 190
        | 200..=299
        | 368
        | 131_005
        | 131_031
        | 131_037
        | 131_042
        | 131_045
        | 133_006
        | 133_010 => ErrorKind::UpstreamAuth,
        1 | 2 | 131_000 | 131_016 | 131_057 | 133_000 | 133_004 => ErrorKind::UpstreamUnavailable,
        _ => match http_status {
            Some(429) => ErrorKind::RateLimited,
            Some(500..) => ErrorKind::UpstreamUnavailable,
            _ => ErrorKind::RejectedByUpstream,
        },
    }
}

/// First and last code of a range, and what it allows.
type Row = (i64, i64, RetryClass);

/// The reference's table, in the order of codes.
const CLASSES: &[Row] = &[
    (0, 0, RetryClass::Account),
    (1, 1, RetryClass::BackOffFew),
    (2, 2, RetryClass::BackOff),
    (3, 3, RetryClass::Account),
    (4, 4, RetryClass::Pace),
    (10, 10, RetryClass::Account),
    (17, 17, RetryClass::Pace),
    (33, 33, RetryClass::Never),
    (100, 100, RetryClass::Never),
    (104, 104, RetryClass::Account),
    (190, 190, RetryClass::Account),
    (200, 299, RetryClass::Account),
    (368, 368, RetryClass::Account),
    (613, 613, RetryClass::Later),
    (803, 803, RetryClass::Never),
    (80_007, 80_007, RetryClass::Pace),
    (130_403, 130_403, RetryClass::Never),
    (130_429, 130_429, RetryClass::Pace),
    (130_472, 130_472, RetryClass::Never),
    (130_497, 130_497, RetryClass::Never),
    (131_000, 131_000, RetryClass::BackOffFew),
    (131_005, 131_005, RetryClass::Account),
    (131_008, 131_009, RetryClass::Never),
    (131_016, 131_016, RetryClass::BackOff),
    (131_020, 131_021, RetryClass::Never),
    (131_026, 131_026, RetryClass::Never),
    (131_030, 131_030, RetryClass::Operator),
    (131_031, 131_031, RetryClass::Account),
    (131_037, 131_037, RetryClass::Account),
    (131_041, 131_041, RetryClass::Never),
    (131_042, 131_042, RetryClass::Account),
    (131_045, 131_045, RetryClass::Account),
    (131_047, 131_047, RetryClass::Never),
    (131_048, 131_049, RetryClass::Later),
    (131_050, 131_053, RetryClass::Never),
    (131_055, 131_055, RetryClass::Never),
    (131_056, 131_056, RetryClass::PersonPace),
    (131_057, 131_057, RetryClass::BackOff),
    (131_059, 131_059, RetryClass::Never),
    (131_062, 131_062, RetryClass::Never),
    (131_063, 131_063, RetryClass::Operator),
    (131_064, 131_064, RetryClass::Later),
    (131_201, 131_207, RetryClass::Never),
    (131_208, 131_208, RetryClass::BackOff),
    (131_209, 131_215, RetryClass::Never),
    (132_000, 132_001, RetryClass::Never),
    (132_005, 132_008, RetryClass::Never),
    (132_012, 132_012, RetryClass::Never),
    (132_015, 132_015, RetryClass::Later),
    (132_016, 132_018, RetryClass::Never),
    (132_068, 132_068, RetryClass::Operator),
    (132_069, 132_069, RetryClass::Later),
    (133_000, 133_000, RetryClass::Operator),
    (133_004, 133_004, RetryClass::BackOff),
    (133_005, 133_005, RetryClass::Never),
    (133_006, 133_006, RetryClass::Account),
    (133_008, 133_009, RetryClass::Later),
    (133_010, 133_010, RetryClass::Account),
    (133_015, 133_015, RetryClass::BackOff),
    (133_016, 133_016, RetryClass::Later),
    (134_011, 134_011, RetryClass::Operator),
    (134_100, 134_100, RetryClass::Never),
    (134_101, 134_101, RetryClass::Later),
    (134_102, 134_102, RetryClass::Operator),
    (135_000, 135_000, RetryClass::Never),
    (137_000, 137_000, RetryClass::Never),
    (138_000, 138_999, RetryClass::Never),
    (139_000, 139_004, RetryClass::Never),
    (139_100, 139_101, RetryClass::Never),
    (139_102, 139_103, RetryClass::BackOff),
    (147_001, 147_005, RetryClass::Never),
    (200_005, 200_007, RetryClass::Never),
    (1_752_041, 1_752_041, RetryClass::Never),
    (2_388_000, 2_388_999, RetryClass::Never),
    (2_494_100, 2_494_100, RetryClass::BackOff),
    (2_593_107, 2_593_108, RetryClass::Never),
];

/// What a code allows. `http_status` counts for unknown codes only.
pub(crate) fn class_of(code: i64, http_status: Option<u16>) -> RetryClass {
    let row = CLASSES.iter().find(|(first, last, _)| (*first..=*last).contains(&code));
    match (row, http_status) {
        (Some((.., class)), _) => *class,
        (None, Some(429)) => RetryClass::Pace,
        (None, Some(500..)) => RetryClass::BackOffFew,
        (None, _) => RetryClass::Never,
    }
}

/// The wait that the documentation names for a code, in seconds.
const fn documented_wait_s(code: i64) -> Option<u32> {
    match code {
        131_049 => Some(86_400),
        133_015 => Some(300),
        134_101 => Some(600),
        _ => None,
    }
}

impl Fault {
    /// The failure with Meta's words beside ours.
    pub(crate) fn into_failure(self) -> Failure {
        let kind = kind_of(self.code, self.http_status);
        self.into_failure_of(kind)
    }

    /// The failure, where something else than the code says what it means.
    pub(crate) fn into_failure_of(self, kind: ErrorKind) -> Failure {
        let class = class_of(self.code, self.http_status);
        let failure = Failure::new(kind, message_for(kind, self.code, &self.details));
        let mut failure = failure.worth_a_retry(class.may_work_later());
        failure.retry_after_s = documented_wait_s(self.code);
        failure.with_upstream(UpstreamFault {
            code: Some(self.code),
            subcode: self.subcode,
            http_status: self.http_status,
            details: self.details,
        })
    }

    /// The failure and what may be done about it.
    pub(crate) fn into_call_error(self) -> CallError {
        let class = class_of(self.code, self.http_status);
        CallError { failure: self.into_failure(), class }
    }
}

/// Our words: what happened and what to do.
fn message_for(kind: ErrorKind, code: i64, details: &str) -> String {
    let said = |text: &str| format!("{text} WhatsApp says: {details}");
    match kind {
        ErrorKind::WindowClosed => "The 24-hour customer-service window of this recipient is \
            closed; send a template."
            .to_owned(),
        ErrorKind::RecipientUnreachable => {
            said("The recipient cannot be reached on WhatsApp; check the number.")
        }
        ErrorKind::RecipientBlocked => {
            "The recipient does not want messages from this business.".to_owned()
        }
        ErrorKind::TemplateNotFound => {
            said("The template does not exist in this language, or is not approved.")
        }
        ErrorKind::TemplateNotApproved => said("The template is paused or disabled."),
        ErrorKind::TemplateParameterMismatch => {
            said("The parameters do not fit the template's variables.")
        }
        ErrorKind::MediaRejected => said("The file was refused or could not be fetched."),
        ErrorKind::MediaNotFound => "WhatsApp does not have this file any more.".to_owned(),
        ErrorKind::RateLimited => said("A limit of WhatsApp is reached; try again later."),
        ErrorKind::UpstreamAuth => {
            format!(
                "The upstream account is not usable (upstream code {code}); an operator must act."
            )
        }
        ErrorKind::UpstreamUnavailable => said("WhatsApp is not available; nothing was sent."),
        _ => said("WhatsApp refused the request."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_do_not_overlap() {
        for pair in CLASSES.windows(2) {
            assert!(pair[0].1 < pair[1].0, "{pair:?}");
        }
        assert!(CLASSES.iter().all(|(first, last, _)| first <= last));
    }

    #[test]
    fn every_code_of_the_reference_has_its_kind() {
        use ErrorKind as Kind;
        for (kind, codes) in [
            (Kind::WindowClosed, &[131_047][..]),
            (Kind::RecipientUnreachable, &[131_026, 131_030, 131_021]),
            (Kind::RecipientBlocked, &[130_403, 131_050]),
            (Kind::TemplateNotFound, &[132_001]),
            (Kind::TemplateNotApproved, &[132_015, 132_016]),
            (Kind::TemplateParameterMismatch, &[132_000, 132_008, 132_012, 132_018]),
            (Kind::MediaRejected, &[131_052, 131_053]),
            (Kind::RateLimited, &[4, 80_007, 130_429, 131_048, 131_056]),
            (
                Kind::UpstreamAuth,
                &[
                    0, 3, 10, 104, 190, 200, 250, 299, 368, 131_005, 131_031, 131_037, 131_042,
                    131_045, 133_006, 133_010,
                ],
            ),
            (Kind::UpstreamUnavailable, &[1, 2, 131_000, 131_016, 131_057, 133_000, 133_004]),
            (Kind::IdentityMismatch, &[137_000]),
            (Kind::FlowNotFound, &[139_000]),
            (
                Kind::RejectedByUpstream,
                &[33, 100, 803, 130_472, 130_497, 131_008, 131_009, 131_049, 131_051, 139_001, 7],
            ),
        ] {
            for code in codes {
                assert_eq!(kind_of(*code, Some(400)), kind, "{code}");
                assert_eq!(kind_of(*code, None), kind, "{code} in a webhook");
            }
        }
        assert_eq!(kind_of(999_999, Some(500)), Kind::UpstreamUnavailable);
        assert_eq!(kind_of(17, Some(429)), Kind::RateLimited);
        assert_eq!(kind_of(131_047, Some(500)), Kind::WindowClosed, "the code decides");
    }

    #[test]
    fn every_code_of_the_reference_has_its_class() {
        use RetryClass as Class;
        for (class, codes) in [
            (Class::BackOff, &[2, 131_016, 131_057, 131_208, 133_004, 133_015, 139_102][..]),
            (Class::BackOffFew, &[1, 131_000]),
            (Class::Pace, &[4, 17, 80_007, 130_429]),
            (Class::PersonPace, &[131_056]),
            (
                Class::Later,
                &[613, 131_048, 131_049, 131_064, 132_015, 132_069, 133_008, 133_016, 134_101],
            ),
            (
                Class::Account,
                &[
                    0, 3, 10, 104, 190, 200, 299, 368, 131_005, 131_031, 131_037, 131_042, 131_045,
                    133_006, 133_010,
                ],
            ),
            (Class::Operator, &[131_030, 131_063, 132_068, 133_000, 134_011, 134_102]),
            (
                Class::Never,
                &[
                    33, 100, 803, 130_403, 130_472, 130_497, 131_008, 131_009, 131_021, 131_026,
                    131_047, 131_050, 131_051, 131_053, 132_000, 132_001, 132_005, 132_007,
                    132_012, 132_016, 133_005, 135_000, 137_000, 2_388_072,
                ],
            ),
        ] {
            for code in codes {
                assert_eq!(class_of(*code, Some(400)), class, "{code}");
                assert_eq!(class_of(*code, Some(500)), class, "{code}: the code decides");
            }
        }
        assert_eq!(class_of(999_999, Some(400)), Class::Never);
        assert_eq!(class_of(999_999, Some(503)), Class::BackOffFew);
        assert_eq!(class_of(999_999, Some(429)), Class::Pace);
    }
}
