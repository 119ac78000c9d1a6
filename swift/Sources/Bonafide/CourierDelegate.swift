import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif
#if canImport(Darwin)
    import Security
#endif

/// Answers what a session asks while it sends: never a redirect, never a password, and servers by their pins.
final class CourierDelegate: NSObject, URLSessionTaskDelegate, Sendable {
    private let pins: PinBoard
    private let refused = Guarded<Set<String>>([])

    init(pins: PinBoard) { self.pins = pins }

    /// Whether the last certificate that this host showed was refused.
    func hasRefused(_ host: String) -> Bool { refused.withLock { $0.contains(host.lowercased()) } }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        // The answer itself comes to the caller, who signs anew what is to be followed.
        completionHandler(nil)
    }

    // Over libcurl, on Linux, no trust is asked for, and no answer to a question for a password lets the task end with
    // its 401 (swift-corelibs-foundation, issue 5456).
    #if canImport(Darwin)
        func urlSession(
            _ session: URLSession, task: URLSessionTask, didReceive challenge: URLAuthenticationChallenge,
            completionHandler: @escaping @Sendable (URLSession.AuthChallengeDisposition, URLCredential?) -> Void
        ) {
            let (disposition, credential) = answer(challenge)
            completionHandler(disposition, credential)
        }

        /// Server trust is asked of the session, not of a task, wherever the session's delegate answers that.
        func urlSession(
            _ session: URLSession, didReceive challenge: URLAuthenticationChallenge,
            completionHandler: @escaping @Sendable (URLSession.AuthChallengeDisposition, URLCredential?) -> Void
        ) {
            let (disposition, credential) = answer(challenge)
            completionHandler(disposition, credential)
        }

        private func answer(
            _ challenge: URLAuthenticationChallenge
        ) -> (URLSession.AuthChallengeDisposition, URLCredential?) {
            let space = challenge.protectionSpace
            if space.authenticationMethod == NSURLAuthenticationMethodServerTrust, let trust = space.serverTrust {
                return answer(trust, of: space.host.lowercased())
            }
            let passwords = [
                NSURLAuthenticationMethodHTTPBasic, NSURLAuthenticationMethodHTTPDigest,
                NSURLAuthenticationMethodNTLM, NSURLAuthenticationMethodNegotiate, NSURLAuthenticationMethodDefault,
            ]
            // With a stored password URLSession would send the request again, with an Authorization that nobody
            // signed. Refused, the answer comes to the caller as it is.
            if passwords.contains(space.authenticationMethod), !space.isProxy() { return (.rejectProtectionSpace, nil) }
            return (.performDefaultHandling, nil)
        }

        private func answer(
            _ trust: SecTrust, of host: String
        ) -> (URLSession.AuthChallengeDisposition, URLCredential?) {
            let isAdmitted = pins.admits(trust, of: host)
            refused.withLock { hosts in
                _ = isAdmitted ? hosts.remove(host) : hosts.insert(host).memberAfterInsert
            }
            return (isAdmitted ? .performDefaultHandling : .cancelAuthenticationChallenge, nil)
        }
    #endif
}
