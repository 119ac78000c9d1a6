/// Something with a key in it: described, dumped and reflected, it says what it is and nothing of what it holds.
///
/// Logs and crash reports outlive keys and go further.
protocol Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {}

extension Redacted {
    var description: String { "\(Self.self)(redacted)" }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}

extension Session: Redacted {}
extension SessionSigner: Redacted {}
extension Credentials: Redacted {}
extension Record: Redacted {}
extension Question: Redacted {}
extension Ledger: Redacted {}
extension Ledger.Keys: Redacted {}
