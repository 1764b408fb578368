from .models.base import ElasticityModel as ElasticityModel
from .models.loglog_ols import LoglogOLS as LoglogOLS
from .models.pooled import Pooled as Pooled
from .protocols.elasticity_estimate import ElasticityEstimate as ElasticityEstimate
from .protocols.elasticity_recovery import ElasticityRecovery as ElasticityRecovery
