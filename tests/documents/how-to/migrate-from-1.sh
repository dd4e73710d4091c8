# A project of lazydata 1.x, on the machine that recorded it.
git init -q ~/old-project
cd ~/old-project
name=$(echo old | sha256sum | cut -c -64)
mkdir -p ~/.lazydata/data/${name:0:2}
echo old >~/.lazydata/data/${name:0:2}/${name:2}
cat >lazydata.yml <<END
version: 1
files:
- path: data/x.csv
  hash: $name
  size: 4
  usage: old.py
END
### end
lazydata restore data/x.csv
grep -x old data/x.csv
