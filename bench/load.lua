-- wrk's request: one small row, in JSON; the file $HWDS_LOAD_BODY holds it.
local file = io.open(os.getenv("HWDS_LOAD_BODY"), "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["content-type"] = "application/json"
