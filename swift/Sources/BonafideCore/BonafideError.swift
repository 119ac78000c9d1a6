/// Everything that can go wrong, as an app can act on it.
///
/// A refusal of the API itself is no error: it is an answer with its status, as from any HTTP client.
public enum BonafideError: Error, Hashable, Sendable {
    /// The device or this kind of process cannot attest, and `Options.unsupportedDevices` does not let it go on.
    case unsupportedDevice
    /// An extension found no enrolment, or one that needs an assertion (for a renewal, or for a route that wants fresh
    /// evidence): only the app itself can make it.
    case appMustRun
    /// The Keychain cannot be read now (before the first unlock after a restart). Nothing was changed; try later.
    case storageUnavailable
    /// The platform's storage failed for good, with this number.
    case storageFailed(Int)
    /// The device's keys are not usable now. Try later.
    case keyUnavailable
    /// Apple asked to come later, or failed a moment ago without a reason. The key is kept; try in that many seconds.
    case throttled(retryAfter: Double)
    /// This install called `attestKey` as often as a day allows. Try in that many seconds.
    case attestationBudgetSpent(retryAfter: Double)
    /// Apple refused twice in a row, with different keys, or failed without a known reason.
    case attestationFailed(String)
    /// The service asks for patience that is longer than `Options.patience`, or asks again and again.
    case busy(retryAfter: Double)
    /// The device's clock is wrong by about this many seconds (the network's unsigned word), which is more than may
    /// be mended without the user; nil where nobody said by how much.
    case clockWrong(by: Double?)
    /// The service refused an enrolment or a renewal, with a record number for its operator.
    case refused(status: Int, action: Action?, record: String?)
    /// The service refused this app for good or wants a newer version: nothing is asked until the next start.
    case stopped(Action)
    /// An answer is not the service's: malformed, or a session that is not this device's. The code says what.
    case answerRefused(String)
    /// The service could not be reached. What was under way goes on where it was.
    case transport(String)
    /// The API's answer asks to repeat a request that may have had its effect already; only the caller can decide.
    /// Requests that carry an `Idempotency-Key` are repeated instead.
    case outcomeUnknown(Action)
    /// The URL has no spelling that is admitted: `;`, `\`, `%`, a control or an encoded `/` in a segment, an empty or
    /// a dot segment.
    case targetNotCanonical(String)
    /// A request that no proof can cover, and why.
    case requestNotSignable(String)
    /// The body is a stream, which cannot be hashed before it is sent. Use `upload(for:fromFile:)` instead, or
    /// `sign(_:bodyFile:)` with the file that is going to be uploaded.
    case streamedBody
    /// A file that was to be sent cannot be read.
    case bodyUnreadable(String)
    /// The server's certificate is not among the pins of the signed pin document.
    case pinMismatch(host: String)
}

/// What a refusal asks of the app (PROTOCOL section 2). Any proxy can write such a hint: each is followed within a
/// bound.
public enum Action: String, Hashable, Sendable, CaseIterable {
    case retryWithChallenge = "retry_with_challenge"
    case renew
    /// The route wants evidence that was given just now; any proxy that writes this costs an assertion per request.
    case renewWithAssertion = "renew_with_assertion"
    case signAgain = "sign_again"
    case enrolAgain = "enrol_again"
    case fixClock = "fix_clock"
    case backOff = "back_off"
    case updateApp = "update_app"
    case giveUp = "give_up"

    /// Whether nothing more is to be asked of the service.
    var isTerminal: Bool { self == .updateApp || self == .giveUp }
}
