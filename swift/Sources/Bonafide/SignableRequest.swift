import BonafideCore
import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// What every request of a `Bonafide` is made ready with.
struct Preparation: Sendable {
    /// To no other origin a proof goes out.
    let origins: Set<Origin>
    /// The cookies that requests carry; nil for none.
    let cookies: HTTPCookieStorage?
    /// Fields that URLSession would add when it sends.
    let additionalHeaders: [String: String]
    let crypto: any Crypto

    /// Stores the cookies of an answer, where its request wanted any.
    func keepCookies(of response: HTTPURLResponse, to request: URLRequest) {
        guard let cookies, request.httpShouldHandleCookies, let url = response.url else { return }
        let fields = response.allHeaderFields.reduce(into: [String: String]()) { fields, field in
            guard let name = field.key as? String, name.lowercased() == "set-cookie" else { return }
            fields["Set-Cookie"] = field.value as? String
        }
        let set = HTTPCookie.cookies(withResponseHeaderFields: fields, for: url)
        if !set.isEmpty { cookies.setCookies(set, for: url, mainDocumentURL: nil) }
    }

    /// The storage's cookies for a request that brings none of its own and wants some, as far as a proof covers them.
    ///
    /// Whoever can write an answer can set any cookie, for years: one that cannot be signed must not keep every later
    /// request from being signed.
    func cookieHeader(for request: URLRequest, to url: URL) -> String? {
        if let own = request.value(forHTTPHeaderField: "Cookie") { return own }
        guard let cookies, request.httpShouldHandleCookies, let found = cookies.cookies(for: url) else { return nil }
        var left = Self.maxCookieOctets
        let covered = found.filter { cookie in
            let octets = cookie.name.utf8.count + cookie.value.utf8.count + "=; ".utf8.count
            guard octets <= left, Self.isCovered(cookie.name), cookie.value.isEmpty || Self.isCovered(cookie.value)
            else { return false }
            left -= octets
            return true
        }
        return covered.isEmpty ? nil : HTTPCookie.requestHeaderFields(with: covered)["Cookie"]
    }

    /// Of the field as a whole; no proof covers more.
    private static let maxCookieOctets = 8 * 1024

    private static func isCovered(_ text: String) -> Bool {
        let octets = text.utf8
        return octets.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: ";") }
            && octets.first.map { $0 != 0x20 } == true && octets.last != 0x20
    }
}

/// A request in the form in which it is signed and sent: nothing that the proof covers is added to it any more.
struct SignableRequest: Sendable {
    private let request: URLRequest
    let head: RequestHead

    /// Whether a second sending does no harm: by its method, or since it carries an Idempotency-Key.
    var isRepeatable: Bool { head.isSafe || request.value(forHTTPHeaderField: "Idempotency-Key") != nil }

    /// Makes a request ready. `file` is what is going to be uploaded in place of a body.
    ///
    /// Throws `BonafideError`: `.requestNotSignable`, `.targetNotCanonical`, `.streamedBody`, `.bodyUnreadable`.
    init(_ original: URLRequest, file: URL?, by preparation: Preparation) throws {
        guard let given = original.url else { throw BonafideError.requestNotSignable("no URL") }
        let canonical = try CanonicalURL(given)
        guard preparation.origins.contains(canonical.origin) else {
            throw BonafideError.requestNotSignable(
                "\(canonical.origin.authority) is not among Options.origins: a proof goes to no other host")
        }
        var request = original
        if canonical.url != given { request.url = canonical.url }
        for (name, value) in preparation.additionalHeaders where request.value(forHTTPHeaderField: name) == nil {
            request.setValue(value, forHTTPHeaderField: name)
        }
        try Self.refuseUncovered(request)
        let digest = try Self.digest(of: request, file: file, crypto: preparation.crypto)
        if request.httpBody != nil || file != nil, request.value(forHTTPHeaderField: "Content-Type") == nil {
            // URLSession would call it a form, after the signature was made.
            request.setValue("application/octet-stream", forHTTPHeaderField: "Content-Type")
        }
        let cookie = preparation.cookieHeader(for: request, to: canonical.url)
        if let cookie { request.setValue(cookie, forHTTPHeaderField: "Cookie") }
        request.httpShouldHandleCookies = false
        head = try RequestHead(
            method: request.httpMethod ?? "GET", scheme: canonical.origin.scheme,
            authority: canonical.origin.authority, target: canonical.target,
            authorization: request.value(forHTTPHeaderField: "Authorization"), cookie: cookie,
            contentType: request.value(forHTTPHeaderField: "Content-Type"), contentDigest: digest)
        self.request = request
    }

    /// The request with its proof, which takes the place of an earlier one field by field.
    func proven(by fields: ProofFields) -> URLRequest {
        var request = request
        for field in fields.all { request.setValue(field.value, forHTTPHeaderField: field.name) }
        return request
    }

    /// Fields that change what a request means without being covered; most the service refuses too (PROTOCOL
    /// section 4). A `Host` beside the URL's would send a proof for one origin to another.
    private static let refusedFields: Set<String> = [
        "content-encoding", "host", "transfer-encoding", "upgrade", "trailer", "x-http-method-override",
        "x-http-method", "x-method-override",
    ]

    private static func refuseUncovered(_ request: URLRequest) throws {
        guard request.httpBodyStream == nil else { throw BonafideError.streamedBody }
        for name in (request.allHTTPHeaderFields ?? [:]).keys {
            // Some servers read `_` as `-`.
            let octets = name.utf8.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 }
            if refusedFields.contains(String(decoding: octets, as: UTF8.self).lowercased()) {
                throw BonafideError.requestNotSignable("the header \(name)")
            }
        }
    }

    private static func digest(of request: URLRequest, file: URL?, crypto: any Crypto) throws -> ContentDigest {
        guard let file else { return ContentDigest(of: [UInt8](request.httpBody ?? Data()), crypto: crypto) }
        guard request.httpBody == nil else {
            throw BonafideError.requestNotSignable("a body beside the file that is uploaded")
        }
        return try ContentDigest(ofFile: file, crypto: crypto)
    }
}

extension ContentDigest {
    /// The digest of a file, read in pieces: memory stays that of one. Throws `BonafideError.bodyUnreadable`.
    init(ofFile file: URL, crypto: some Crypto) throws {
        do {
            let handle = try FileHandle(forReadingFrom: file)
            defer { try? handle.close() }
            try self.init(crypto: crypto) {
                try handle.piece()
            }
        } catch {
            throw BonafideError.bodyUnreadable(file.lastPathComponent)
        }
    }
}
