mkdir -p data/raw models reference src
for name in data/raw/orders_2024.csv data/raw/orders_2025.csv reference/countries.csv; do
    echo "$name" >"$name"
done
cat >src/clean.py <<'END'
from lazydata import track

for year in (2024, 2025):
    track(f"data/raw/orders_{year}.csv")
with open("models/model.pkl", "w") as file:
    file.write("model")
track("models/model.pkl")
END
echo 'from lazydata import track; track("models/model.pkl")' >src/report.py
lazydata track reference/countries.csv
python src/clean.py
python src/report.py
### end
grep '^```mermaid' graph.md
test -s report.html
