<#
.SYNOPSIS
Gives an account at an exchange to an attested enclave: a thin wrapper of `trackseal register`.

.DESCRIPTION
PowerShell cannot be run on the machines that build and test this project, so this file has been read and not run. It
is kept trivial for that reason: it turns parameters into arguments, hands the secrets over in the environment of the
one process that it starts, and ends with that process's exit code (0 registered, 1 refused, 2 could not).
What is left out of -ApiKey and -Secret, `trackseal register` asks for without echo. `trackseal register --help` explains everything else.

.EXAMPLE
./register-user.ps1 -UserId trader-1 -Exchange binance -ServiceUrl https://enclave.example:3000 -Policy policy.json -Secure
#>
[CmdletBinding()]
param(
  [Parameter(Mandatory = $true)][string]$UserId,
  [Parameter(Mandatory = $true)][string]$Exchange,
  [string]$ApiKey,
  [string]$Secret,
  [string]$Passphrase,
  [Parameter(Mandatory = $true)][string]$ServiceUrl,
  # The measurements of the image that you expect. Without them nothing is sent.
  [string]$Policy = $env:TRACKSEAL_POLICY,
  [ValidateSet('spot', 'futures', 'margin', 'unified')][string]$AccountType = 'spot',
  [string]$Label,
  [switch]$Sandbox,
  [switch]$AllowTrading,
  [switch]$AllowWithdrawals,
  [int]$Ttl = 86400,
  [string]$Session = 'trackseal-session.json',
  # There is no other way than the secure one: kept because scripts of before pass it.
  [switch]$Secure,
  # The command line; `trackseal` of the PATH by default.
  [string]$Trackseal = 'trackseal'
)

$ErrorActionPreference = 'Stop'

$arguments = @('register', $ServiceUrl, '--user-id', $UserId, '--exchange', $Exchange,
  '--account-type', $AccountType, '--ttl', "$Ttl", '--session', $Session)
if ($Policy) { $arguments += @('--policy', $Policy) }
if ($Label) { $arguments += @('--label', $Label) }
if ($Sandbox) { $arguments += '--sandbox' }
if ($AllowTrading) { $arguments += '--allow-trading' }
if ($AllowWithdrawals) { $arguments += '--allow-withdrawals' }

$secrets = @{ TRACKSEAL_API_KEY = $ApiKey; TRACKSEAL_SECRET = $Secret; TRACKSEAL_PASSPHRASE = $Passphrase }
$before = @{}
try {
  foreach ($name in $secrets.Keys) {
    $before[$name] = [Environment]::GetEnvironmentVariable($name)
    if ($secrets[$name]) { [Environment]::SetEnvironmentVariable($name, $secrets[$name]) }
  }
  & $Trackseal @arguments
  $code = $LASTEXITCODE
}
finally {
  foreach ($name in $before.Keys) { [Environment]::SetEnvironmentVariable($name, $before[$name]) }
}
exit $code
