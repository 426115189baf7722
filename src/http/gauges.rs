//! Figures that are read from the database when somebody asks, in the text format of Prometheus. They are no part of the
//! recorder: an endpoint that is deleted would stand there for ever.

use std::fmt::Write as _;

use crate::lab::read_endpoint_health::EndpointGauges;

type Figure = (&'static str, &'static str, fn(&EndpointGauges) -> i64);

const FIGURES: [Figure; 3] = [
    ("pms_endpoint_queued", "Messages that wait to be sent.", |row| row.queued.cast_signed()),
    ("pms_endpoint_oldest_queued_seconds", "How long the oldest of them has waited.", |row| {
        row.oldest_queued_seconds
    }),
    ("pms_endpoint_open_alarms", "Alarms that are open.", |row| row.open_alarms.cast_signed()),
];

/// A line for each figure of each endpoint.
pub(super) fn text(rows: &[EndpointGauges]) -> String {
    let mut text = String::new();
    for (name, help, value) in FIGURES {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for row in rows {
            let _ = writeln!(text, "{name}{{lis_endpoint_id=\"{}\"}} {}", row.id, value(row));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_figure_of_each_endpoint() {
        let row = |id| EndpointGauges { id, queued: 3, oldest_queued_seconds: 90, open_alarms: 1 };
        let text = text(&[row(1), row(2)]);
        assert_eq!(text.lines().count(), 3 * 4);
        assert!(text.starts_with(
            "# HELP pms_endpoint_queued Messages that wait to be sent.\n# TYPE pms_endpoint_queued gauge\n\
             pms_endpoint_queued{lis_endpoint_id=\"1\"} 3\npms_endpoint_queued{lis_endpoint_id=\"2\"} 3\n"
        ));
        assert!(text.contains("pms_endpoint_oldest_queued_seconds{lis_endpoint_id=\"1\"} 90\n"));
        assert!(text.ends_with("pms_endpoint_open_alarms{lis_endpoint_id=\"2\"} 1\n"));
    }
}
