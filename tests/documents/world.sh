# What most pages begin with: ~/my-project, a clone of /srv/git/my-project.git, whose data is
# also in /srv/share/lazydata. Pages quote the beginning of some digests: 46de of the first table,
# ff8c of the directory data/images (7 files, 40 bytes).
cat >~/.gitconfig <<'END'
[user]
    name = Me
    email = me@example.org
[init]
    defaultBranch = main
[core]
    editor = true
[advice]
    detachedHead = false
[push]
    autoSetupRemote = true
END
git init -q --bare /srv/git/my-project.git
git clone -q /srv/git/my-project.git ~/my-project
cd ~/my-project
git switch -q -c main

lazydata init
mkdir -p data/images/{cats,dogs}
printf 'day,mm\n1,6201\n' >data/my_big_table.csv
printf 'a,b\n1,2\n' >data/x.csv
echo 1,0112808 >data/images/labels.csv
for n in 1 2 3; do
    printf "cat $n" >data/images/cats/$n.jpg
    printf "dog $n" >data/images/dogs/$n.jpg
done
echo data/images/ >.gitignore
cat >my_script.py <<'END'
from pathlib import Path

from lazydata import track

for path in ("data/my_big_table.csv", "data/x.csv"):
    print(path, len(Path(track(path)).read_text().splitlines()), "lines")
END
python my_script.py
lazydata add-remote /srv/share/lazydata
git add .
git commit -qm 'Two tables'
git tag v1.2

git switch -qc experiment
echo '3,4' >>data/x.csv
python my_script.py
git commit -qam 'A row more'
lazydata push

git switch -q main
python my_script.py
printf '2,0.5\n' >>data/my_big_table.csv
python my_script.py
git commit -qam 'A second day'
lazydata push
git push -q origin main experiment v1.2
