mkdir results
echo model >results/model.h5
echo table >data/table.h5
lazydata track data/table.h5
