import BonafideCore
import Foundation
import Security

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Answers what a session asks while it sends: never a redirect, never a password, and servers by their pins.
final class CourierDelegate: NSObject, URLSessionDataDelegate, Sendable {
    typealias Completion = @Sendable (Data?, URLResponse?, (any Error)?) -> Void

    /// The body of an answer that may not be longer than that.
    private struct Gathered {
        let limit: Int
        let completion: Completion
        var data = Data()
        var isTooLong = false
    }

    private let pins: PinBoard
    private let refused = Guarded<Set<String>>([])
    /// By the task's identifier; tasks with a completion handler of their own are not among them.
    private let gathered = Guarded<[Int: Gathered]>([:])

    init(pins: PinBoard) { self.pins = pins }

    /// Whether the last certificate that this host showed was refused.
    func hasRefused(_ host: String) -> Bool { refused.withLock { $0.contains(host.lowercased()) } }

    /// Judges the certificates that a server shows, and remembers whether they were refused.
    func admits(_ trust: SecTrust, of host: String) -> Bool {
        let host = host.lowercased()
        let isAdmitted = pins.admits(trust, of: host)
        refused.withLock { hosts in
            _ = isAdmitted ? hosts.remove(host) : hosts.insert(host).memberAfterInsert
        }
        return isAdmitted
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        // The answer itself comes to the caller, who signs anew what is to be followed.
        completionHandler(nil)
    }

    /// Gathers the body of a task that has no completion handler and was not resumed yet.
    func gather(_ task: URLSessionTask, upTo limit: Int, _ completion: @escaping Completion) {
        gathered.withLock { $0[task.taskIdentifier] = Gathered(limit: limit, completion: completion) }
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let isTooLong = gathered.withLock { gathered in
            guard var one = gathered[dataTask.taskIdentifier] else { return false }
            gathered[dataTask.taskIdentifier] = nil  // or the next line would copy what came before
            one.isTooLong = one.isTooLong || data.count > one.limit - one.data.count
            if !one.isTooLong { one.data.append(data) }
            gathered[dataTask.taskIdentifier] = one
            return one.isTooLong
        }
        if isTooLong { dataTask.cancel() }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        guard let one = gathered.withLock({ $0.removeValue(forKey: task.taskIdentifier) }) else { return }
        one.completion(one.data, task.response, one.isTooLong ? BonafideError.answerRefused("size") : error)
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
                return (admits(trust, of: space.host) ? .performDefaultHandling : .cancelAuthenticationChallenge, nil)
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
    #endif
}
