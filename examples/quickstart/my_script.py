import pandas as pd

from lazydata import track

df = pd.read_csv(track("data/my_big_table.csv"))

print("Data shape:", df.shape)
