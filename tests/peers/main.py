"""Runs every check against the demo on SQLite, then against the service on PostgreSQL."""

import signal
import sys

import agreement
import guide
import labs
import news
import orders
import senders
from report import Report
from service import Clinic, demo, serve


def check(clinic: Clinic, report: Report) -> None:
    guide.check(clinic, report)
    senders.check(clinic, report)
    labs.check(clinic, report)
    orders.check(clinic, report)
    news.check(clinic, report)
    guide.check_orders_in_sql(clinic, report)


def main() -> int:
    # Leaves every block on the way out, so that no server outlives us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report()
    with report.during("pms hl7 tree"):
        agreement.check(report)
    for start in (demo, serve):
        failed_before = report.failed
        with report.during(start.__name__), start() as clinic:
            check(clinic, report)
            with report.check("SIGTERM ends it with exit code 0"):
                clinic.stop()
            if report.failed > failed_before:
                print(f"The last lines of its log:\n{clinic.last_words()}")
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
