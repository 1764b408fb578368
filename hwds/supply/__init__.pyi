from .decisions.stock import Stock as Stock
from .decisions.supply_plan import SupplyPlan as SupplyPlan
from .decisions.volume_bands import VolumeBands as VolumeBands
