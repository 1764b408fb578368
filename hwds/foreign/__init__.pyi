from .models.mlforecast import MLForecast as MLForecast
from .models.statsforecast import StatsForecast as StatsForecast
