//! LOINC codes: a number, a dash and a check digit that tells a slip of the finger from a code.

/// Whether a text is a LOINC code: up to seven digits, a dash, and the check digit (modulus 10, as LOINC's manual gives
/// it). Says nothing of whether the code exists or is in use.
pub fn is_loinc(text: &str) -> bool {
    let Some((number, check)) = text.split_once('-') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(number) && number.len() <= 7 && digits(check) && check.len() == 1 && check_digit(number) == check
}

/// Every second digit from the right is doubled, the digits of all are added, and the sum is filled up to ten.
fn check_digit(number: &str) -> String {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            if place % 2 == 0 { (2 * digit) / 10 + (2 * digit) % 10 } else { digit }
        })
        .sum();
    ((10 - sum % 10) % 10).to_string()
}

#[cfg(test)]
mod tests {
    use super::is_loinc;
    use crate::domain::catalogue::TESTS;

    #[test]
    fn a_slip_is_no_code() {
        for code in ["2823-3", "2951-2", "58410-2", "718-7", "89579-7"] {
            assert!(is_loinc(code), "{code}");
        }
        for text in ["2823-4", "2832-3", "2823", "K", "-3", "2823-33", "2823-", "12345678-9", "２823-3"] {
            assert!(!is_loinc(text), "{text}");
        }
    }

    #[test]
    fn the_catalogue_holds_codes() {
        for test in TESTS {
            assert!(is_loinc(test.loinc), "{}", test.code);
        }
    }
}
