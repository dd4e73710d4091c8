"""Write data/my_big_table.csv: 10,000 rows of 100 columns, the same bytes every time."""

import csv
import random
from pathlib import Path

ROWS, COLUMNS = 10_000, 100

numbers = random.Random(20)
target = Path("data/my_big_table.csv")
target.parent.mkdir(exist_ok=True)
with target.open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow([f"x{column}" for column in range(COLUMNS)])
    for _ in range(ROWS):
        table.writerow([f"{numbers.random():.6f}" for _ in range(COLUMNS)])
