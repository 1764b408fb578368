from .models.autoencoder import Autoencoder as Autoencoder
from .models.base import SensorModel as SensorModel
from .models.forecast_residual import ForecastResidual as ForecastResidual
from .models.isolation_forest import IsolationForest as IsolationForest
from .models.pca import PCA as PCA
from .protocols.runs_in_time import RunsInTime as RunsInTime
