-- HAProxy in front of a gate: one action that asks it, and refuses whatever it does not admit.
--
--   global
--       lua-load-per-thread /etc/haproxy/bonafide.lua
--   frontend api
--       http-request lua.bonafide_admit unix@/run/bonafide/gate.sock 250
--
-- The arguments are the gate's address and for how many milliseconds one try may wait. HAProxy's client tries up to
-- four times: a gate that did judge the first try calls the second a replay, and admits nothing twice.

local TITLES = {
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [413] = "Request Entity Too Large",
  [429] = "Too Many Requests", [503] = "Service Unavailable",
}

-- What is said of the connection between client and proxy, and what the gate is told under a name of our own.
local LEFT_OUT = {
  ["host"] = true, ["connection"] = true, ["content-length"] = true, ["transfer-encoding"] = true, ["expect"] = true,
  ["upgrade"] = true, ["trailer"] = true, ["te"] = true, ["keep-alive"] = true, ["proxy-connection"] = true,
  ["http2-settings"] = true,
}

-- Fields that came more than once reach gate and API as one, so that both read the same.
local JOINED = { ["cookie"] = "; ", ["content-type"] = ", " }

local function refuse(txn, status, action, record, retry_after, challenge, nonce)
  local reply = txn:reply()
  reply:set_status(status, TITLES[status])
  reply:add_header("content-type", "application/problem+json")
  reply:add_header("cache-control", "no-store")
  reply:add_header("bonafide-action", action)
  reply:add_header("bonafide-record", record)
  if retry_after then reply:add_header("retry-after", retry_after) end
  if challenge then reply:add_header("www-authenticate", challenge) end
  if nonce then reply:add_header("dpop-nonce", nonce) end
  reply:set_body(string.format(
    '{"type":"about:blank","title":"%s","status":%d,"action":"%s","record":"%s"}', TITLES[status], status, action, record
  ))
  txn:done(reply)
end

-- The target as the client spelled it. Over HTTP/2 there is only a path; HAProxy puts the origin before it.
local function target_of(txn)
  if txn.f:fc_http_major() == 2 then return txn.f:pathq() end
  return txn.f:url()
end

-- Fields whose names are ours to say, or that a WSGI server reads as others, go; the rest is told to the gate.
local function read_headers(txn)
  local told = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    local plain = name:lower()
    if plain:find("_", 1, true) or plain:sub(1, 9) == "bonafide-" or plain:sub(1, 8) == "original" then
      txn.http:req_del_header(name)
    elseif not LEFT_OUT[plain] then
      local lines = {}
      while values[#lines] do lines[#lines + 1] = values[#lines] end
      if JOINED[plain] and #lines > 1 then
        lines = { table.concat(lines, JOINED[plain]) }
        txn.http:req_set_header(plain, lines[1])
      end
      told[plain] = lines
    end
  end
  return told
end

local function first(headers, name)
  local values = headers and headers[name]
  return values and values[0]
end

local function admit(txn, gate, timeout)
  local sent = txn.http:req_get_headers()
  local headers = read_headers(txn)
  local function tell(name, value)
    if value and value ~= "" then headers[name] = { value } end
  end
  tell("originalmethod", txn.f:method())
  tell("originaltarget", target_of(txn))
  tell("originalhost", txn:get_var("txn.bonafide_host") or "-")
  tell("originallength", first(sent, "content-length"))
  tell("originalcoding", first(sent, "transfer-encoding"))
  tell("originalupgrade", first(sent, "upgrade"))
  tell("originaltrailer", first(sent, "trailer"))
  tell("originaladdress", txn.f:src())

  local client = core.httpclient()
  local asked, answer = pcall(client.get, client, {
    url = "http://bonafide-gate/admit", headers = headers, dst = gate, timeout = tonumber(timeout),
  })
  if asked and answer and answer.status == 204 then
    local admission = first(answer.headers, "bonafide-admission")
    if admission then txn.http:req_set_header("Bonafide-Admission", admission) end
    local nonce = first(answer.headers, "dpop-nonce")
    if nonce then txn:set_var("txn.bonafide_nonce", nonce) end  -- for the client, on the API's answer
    txn:set_var("txn.bonafide_admitted", true)  -- what has no such mark goes no further, whatever became of this action
    return
  end
  if asked and answer and (answer.status == 401 or answer.status == 403) then
    local status = tonumber(first(answer.headers, "bonafide-status") or "")
    if not TITLES[status] then status = 403 end
    local action = (first(answer.headers, "bonafide-action") or ""):match("^[a-z_]+$") or "give_up"
    local record = (first(answer.headers, "bonafide-record") or ""):match("^[%w_-]+$") or txn.f:uuid()
    local challenge = status == 401 and first(answer.headers, "www-authenticate") or nil
    local nonce = first(answer.headers, "dpop-nonce")
    return refuse(txn, status, action, record, first(answer.headers, "retry-after"), challenge, nonce)
  end
  core.Alert("bonafide: the gate did not answer")
  refuse(txn, 503, "back_off", txn.f:uuid(), tostring(math.random(2, 9)), nil)
end

core.register_action("bonafide_admit", { "http-req" }, admit, 2)
