cat >make_table.py <<'END'
from lazydata import track

with open("data/my_big_table.csv", "w") as file:
    file.write("day,mm\n1,4.5\n")
track("data/my_big_table.csv")
END
### end
git log -1 --format=%s origin/main | grep -x 'New table'
