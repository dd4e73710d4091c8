mkdir -p teams/fraud
### lazydata status teams/fraud/data/cases.csv
cd teams/fraud
mkdir data
echo case >data/cases.csv
echo 'from lazydata import track; track("data/cases.csv")' >train.py
python train.py
lazydata add-remote /srv/share/fraud
lazydata push
git add .
git commit -qm Fraud
cd ../..
