from .dataset import as_dataset as as_dataset
from .dataset import check_name as check_name
from .dataset import dataset_name as dataset_name
from .dataset import load as load
from .dataset import prepare as prepare
from .splits import Dataset as Dataset
from .splits import Split as Split
