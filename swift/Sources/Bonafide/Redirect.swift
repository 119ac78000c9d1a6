import BonafideCore
import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A request that an answer leads to, to be signed anew.
struct Redirect {
    /// More than that lead nowhere.
    static let maxFollowed = 5

    let request: URLRequest
    /// Whether it carries what the first request carried, a file too.
    let keepsBody: Bool

    init(request: URLRequest, keepsBody: Bool) {
        self.request = request
        self.keepsBody = keepsBody
    }

    /// What is to be sent next; nil where the answer is no redirect, or none that is followed: to another scheme or
    /// authority, or to a target that has no canonical spelling. Its proof would go to a host that it is not for.
    ///
    /// 307 and 308 keep method and body. After 301, 302 and 303 a method that is not safe becomes GET without a body,
    /// as all browsers do (RFC 9110 section 15.4).
    init?(after request: URLRequest, status: Int, location: String?) {
        guard [301, 302, 303, 307, 308].contains(status), let location, let current = request.url,
            let url = URL(string: location, relativeTo: current)?.absoluteURL,
            let here = try? CanonicalURL(current), let there = try? CanonicalURL(url), here.origin == there.origin
        else { return nil }
        var next = request
        next.url = there.url
        let isSafe = ["GET", "HEAD", "OPTIONS"].contains(request.httpMethod ?? "GET")
        let keepsBody = status == 307 || status == 308 || isSafe
        if !keepsBody {
            next.httpMethod = "GET"
            next.httpBody = nil
            for name in Self.contentFields { next.setValue(nil, forHTTPHeaderField: name) }
        }
        self.init(request: next, keepsBody: keepsBody)
    }

    private static let contentFields = [
        "Content-Type", "Content-Length", "Content-Language", "Content-Location", "Content-Digest", "Idempotency-Key",
    ]
}
