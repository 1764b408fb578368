-- wrk's request: one small row, in JSON; the file $HWDS_LOAD_BODY holds it.
-- Each connection waits $HWDS_LOAD_PAUSE milliseconds before a request, if that is set.
local file = io.open(os.getenv("HWDS_LOAD_BODY"), "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["content-type"] = "application/json"

local pause = tonumber(os.getenv("HWDS_LOAD_PAUSE") or 0)
if pause > 0 then
  function delay() return pause end
end
