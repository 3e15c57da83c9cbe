-- Argo CD's health of an EventStreamRole or a PinpointEventStreamRole, from its status, which follows kstatus. Argo CD
-- gives a script no string library. For an object that is being deleted it reports "Pending deletion" itself, and runs
-- this only for hooks.

local function table_or_empty(value)
  if type(value) == "table" then
    return value
  end
  return {}
end

local metadata = table_or_empty(obj.metadata)
local status = table_or_empty(obj.status)
local conditions = {}
for _, condition in ipairs(table_or_empty(status.conditions)) do
  if type(condition) == "table" and type(condition.type) == "string" then
    conditions[condition.type] = condition
  end
end

local function is_true(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local function health(code, condition, otherwise)
  local message = table_or_empty(condition).message
  if type(message) ~= "string" or message == "" then
    message = otherwise
  end
  return {status = code, message = message}
end

local ready = conditions.Ready

-- The status is for a previous generation, or there is none yet.
if status.observedGeneration == nil or ready == nil then
  return health("Progressing", nil, "The controller has not observed the resource yet.")
end
if metadata.generation ~= nil and status.observedGeneration ~= metadata.generation then
  return health("Progressing", nil, "The controller has not observed the last change yet.")
end

if metadata.deletionTimestamp ~= nil then
  if is_true("Stalled") then
    return health("Degraded", conditions.Stalled, "The deletion is blocked.")
  end
  return health("Progressing", nil, "The resource is being deleted.")
end

if ready.reason == "Paused" then
  return health("Suspended", ready, "The resource is annotated as paused.")
end
if is_true("Stalled") then
  return health("Degraded", conditions.Stalled, "Blocked until someone acts.")
end
if is_true("Reconciling") then
  return health("Progressing", conditions.Reconciling, "A change is being written.")
end
if is_true("Ready") then
  -- The message lists undeclared policies and differences that are only reported.
  return health("Healthy", ready, "The role matches the spec.")
end
if ready.reason == "DriftReported" then
  -- This does not change: driftPolicy is Report, and nothing will be written.
  return health("Degraded", ready, "The live role does not match the spec.")
end
return health("Progressing", ready, "The role does not match the spec yet.")
