// What apps name in every file that sends a request. The rest of the core stays behind `import BonafideCore`: its
// `Clock` would take the place of the standard library's in every file that imports this, and names such as `Action`,
// `Client` or `Target` are an app's own.

@_exported public import enum BonafideCore.AnswerKind
@_exported public import struct BonafideCore.AppSecrets
@_exported public import enum BonafideCore.BonafideError
@_exported public import enum BonafideCore.ProofKind
@_exported public import struct BonafideCore.RemoteConfiguration
