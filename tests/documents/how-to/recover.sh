store=~/.local/share/lazydata/objects-v1
lazydata restore data/x.csv
lazydata pull .
whole() { sha256sum lazydata.yml data/*.csv; }
whole >/tmp/whole
spoil() { chmod u+w "$1" && truncate -s 3 "$1"; }
### lazydata restore data/x.csv
echo spoiled >data/x.csv
### lazydata verify --repair
whole | diff - /tmp/whole
for object in $(find "$store/blake3" -type f); do spoil "$object"; done
must_fail lazydata verify >/tmp/found
grep '(data/x.csv): damaged' /tmp/found
### lazydata push --check
lazydata verify
lazydata cat data/x.csv | cmp - data/x.csv
### lazydata verify --repair
echo 'never pushed' >>data/x.csv
lazydata track data/x.csv
rm -r ~/.local/share/lazydata
### rm -r ~/.cache/lazydata
lazydata verify
lazydata cat data/x.csv | cmp - data/x.csv
git checkout -q lazydata.yml
lazydata pull .
### lazydata verify --remote origin --repair
lazydata cat --version 46deea05 data/my_big_table.csv >/dev/null # else there is no good copy
for file in $(find /srv/share/lazydata/objects /srv/share/lazydata/index -type f); do
    case $file in
    *.idx) spoil "$file" ;;
    *) ! grep -q "${file##*/}" lazydata.yml || spoil "$file" ;;
    esac
done
must_fail lazydata verify --remote origin
### lazydata add-remote /srv/share/lazydata
lazydata verify --remote origin
rm -r /srv/share/lazydata
### cp lazydata.yml lazydata.yml.old
lazydata verify --remote origin
### mv lazydata.yml lazydata.yml.old
git checkout -q lazydata.yml
### df -h .
lazydata status --check
### lazydata verify --remote origin --repair
git checkout -q lazydata.yml
printf 'changed' >"$(find /srv/share/lazydata/objects -type f | head -1)" || true
### end
lazydata verify --remote origin
