"""The patients of the benchmark and the reports that are sent about them: five results each, none critical."""

import time
from pathlib import Path

PATIENTS = 100
RESULTS_PER_MESSAGE = 5

ANALYTES = (
    ("6690-2", "Leukocytes", "7.2", "10*3/uL", "4.5-11.0"),
    ("789-8", "Erythrocytes", "4.81", "10*6/uL", "4.20-5.40"),
    ("718-7", "Hemoglobin", "14.1", "g/dL", "12.0-16.0"),
    ("4544-3", "Hematocrit", "42.3", "%", "37.0-47.0"),
    ("777-3", "Platelets", "251", "10*3/uL", "150-400"),
)


def patients() -> list[dict[str, str]]:
    """As `POST /api/patients` takes them."""
    return [
        {
            "mrn": f"B{number:05}",
            "last_name": f"Bench{number:03}",
            "first_name": "Pat",
            "date_of_birth": f"19{40 + number % 60}-0{1 + number % 9}-15",
            "gender": "female" if number % 2 else "male",
        }
        for number in range(PATIENTS)
    ]


def write(file: Path) -> None:
    """A message for every patient. The sender gives each a new control id and filler number every time."""
    file.write_text("\n".join(report(index, patient) for index, patient in enumerate(patients())) + "\n", newline="")


def report(index: int, patient: dict[str, str]) -> str:
    now = time.strftime("%Y%m%d%H%M%S+0000", time.gmtime())
    born, sex = patient["date_of_birth"].replace("-", ""), patient["gender"][0].upper()
    person = f"{patient['mrn']}^^^MPS_PMS^MR||{patient['last_name']}^{patient['first_name']}||{born}|{sex}"
    segments = [
        f"MSH|^~\\&|BENCH_LIS|BENCH_LAB|PMS_LAB|MPS_PMS|{now}||ORU^R01^ORU_R01|B{index}|P|2.5.1",
        f"PID|1||{person}",
        f"ORC|RE||B{index}-F",
        f"OBR|1||B{index}-F|58410-2^CBC panel^LN|||{now}|||||||||||||||{now}||LAB|F",
    ]
    for position, (code, name, value, units, usual) in enumerate(ANALYTES, 1):
        segments.append(f"OBX|{position}|NM|{code}^{name}^LN||{value}|{units}|{usual}|N|||F|||{now}")
    return "\r".join(segments) + "\r"
