from .models.base import LifetimeModel as LifetimeModel
from .models.linear_age import LinearAge as LinearAge
from .models.mean_life import MeanLife as MeanLife
from .models.similarity import Similarity as Similarity
from .models.stack import Stack as Stack
from .models.xgboost_windows import XGBoostWindows as XGBoostWindows
from .protocols.last_window import LastWindow as LastWindow
from .protocols.prequential_runs import PrequentialRuns as PrequentialRuns
