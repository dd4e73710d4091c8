git switch -q experiment
python my_script.py
### $EDITOR lazydata.yml
# Both branches record a version of data/x.csv that the other does not know.
git switch -q main
python my_script.py
echo '5,6' >>data/x.csv
python my_script.py
git commit -qam 'Another row'
must_fail git merge experiment
grep 'was changed on' lazydata.yml
export EDITOR='sed -i /^\s*#/d'
### end
grep -c 'path: data/x.csv' lazydata.yml | grep -x 3
