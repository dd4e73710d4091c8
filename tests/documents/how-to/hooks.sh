### git config lazydata.hooks.push auto
echo '5,6' >>data/x.csv
python my_script.py
git commit -qam 'A row'
must_fail git push
### git -c lazydata.hooks.push=auto push origin experiment
git push
git config --unset lazydata.hooks.push
git switch -q experiment
python my_script.py
echo '7,8' >>data/x.csv
python my_script.py
git commit -qam 'Another row'
must_fail git push origin experiment
### git config lazydata.hooks.checkout restore
git switch main 2>&1 | grep 'outdated now: .*data/x.csv'
lazydata pull
### git config --unset lazydata.hooks.push
git switch experiment 2>&1 | grep 'updated from the store: .*data/x.csv'
git config lazydata.hooks.push auto
