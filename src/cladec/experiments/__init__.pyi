from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate
from .sweep import Sweep as Sweep
from .sweep import train as train
from .sweep import train_missing as train_missing
