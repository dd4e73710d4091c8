# A notebook that the page has, too.
cat >prices.ipynb <<'END'
{"cells": [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": null,
 "source": ["import lazydata\n", "lazydata.track(\"data/x.csv\")"]}],
 "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
END
### lazydata pull prices.ipynb
rm data/x.csv
### end
test -f data/x.csv
grep -q notebooks/prices.ipynb lazydata.yml
