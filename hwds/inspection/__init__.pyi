from .models.base import InspectionModel as InspectionModel
from .models.cnn import CNN as CNN
from .models.embedding_knn import EmbeddingKNN as EmbeddingKNN
from .models.features_xgboost import FeaturesXGBoost as FeaturesXGBoost
from .protocols.board_kfold import BoardKFold as BoardKFold
