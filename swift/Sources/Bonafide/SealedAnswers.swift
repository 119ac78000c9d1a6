public import BonafideCore
public import Foundation

#if canImport(FoundationNetworking)
    public import FoundationNetworking
#endif

/// Requests whose answers nobody on the way can read or write, on routes that say `seal = true`.
///
/// ```swift
/// let (data, response) = try await bonafide.data(for: request, answer: .sealed)
/// ```
///
/// Whoever asks for a sealed answer gets that one, whole, or an error: `.answerNotSealed` for an answer in clear,
/// `.sealRefused` for one that does not verify. Status, fields, cookies and redirects are those that the API wrote; what a
/// proxy writes beside them is not looked at. `Range` and `If-…` are taken off the request, as no part of an
/// answer is sealed. Else as the same calls without `answer`.
extension Bonafide {
    /// Sends a request and returns the answer. A sealed one of more than 96 MiB is for `download`.
    public func data(
        for request: URLRequest, proof: ProofKind = .session, answer: AnswerKind
    ) async throws -> (Data, HTTPURLResponse) {
        let taking = SealedTaking(crypto: setting.crypto)
        return try await exchange(request, file: nil, proof: proof, answer: answer) { request, _, fields in
            guard answer == .sealed else { return Received(try await courier.data(for: request)) }
            return try await taking.data(for: request, fromFile: nil, fields, by: courier)
        }
    }

    /// Sends a file as the request's body, and returns the answer. A sealed one has 96 MiB at most.
    public func upload(
        for request: URLRequest, fromFile file: URL, proof: ProofKind = .session, answer: AnswerKind
    ) async throws -> (Data, HTTPURLResponse) {
        let taking = SealedTaking(crypto: setting.crypto)
        return try await exchange(request, file: file, proof: proof, answer: answer) { request, file, fields in
            guard answer == .clear else {
                return try await taking.data(for: request, fromFile: file, fields, by: courier)
            }
            if let file { return Received(try await courier.upload(for: request, fromFile: file)) }
            return Received(try await courier.data(for: request))
        }
    }

    /// Sends a request and returns the answer's body as a file in the temporary directory, the caller's to move or
    /// to remove. A sealed one is opened from file to file, with a memory of one record; there is no file unless it verified
    /// whole. On iOS it cannot be read while the device is locked.
    public func download(
        for request: URLRequest, proof: ProofKind = .session, answer: AnswerKind
    ) async throws -> (URL, HTTPURLResponse) {
        let taking = SealedTaking(crypto: setting.crypto)
        return try await exchange(request, file: nil, proof: proof, answer: answer) { request, _, fields in
            guard answer == .sealed else { return Received(try await courier.download(for: request)) }
            return try await taking.file(for: request, fields, by: courier)
        } discard: {
            try? FileManager.default.removeItem(at: $0)
        }
    }
}

extension Bonafide {
    /// Signs a request that is sent by other means, as `sign(_:proof:bodyFile:)`, and returns what opens the sealed answer
    /// to it. Cookies of that answer are the caller's to keep. Throws `BonafideError`.
    public func signForSealedAnswer(
        _ request: inout URLRequest, proof: ProofKind = .session, bodyFile: URL? = nil
    ) async throws -> AnswerOpener {
        let (client, preparation) = try ready()
        let signable = try SignableRequest(request, file: bodyFile, by: preparation)
        let fields = try await client.proveForSealedAnswer(signable.head, proof: proof)
        request = signable.proven(by: fields).forSealedAnswer()
        return AnswerOpener(fields: fields, taking: SealedTaking(crypto: setting.crypto))
    }
}

/// Opens the answer to one request that was signed for it. It is of no use for any other, and cannot be stored.
public struct AnswerOpener: Sendable, CustomStringConvertible, CustomReflectable {
    let fields: ProofFields
    let taking: SealedTaking

    /// Returns body and answer as the API gave them. Throws `BonafideError.answerNotSealed` and `.sealRefused`.
    public func open(_ data: Data, _ response: HTTPURLResponse) throws -> (Data, HTTPURLResponse) {
        try Self.whole(taking.open(data, response, fields))
    }

    /// Likewise, of an answer that was downloaded to a file, which stays the caller's. The body is a file in the
    /// temporary directory, the caller's to move or to remove.
    public func open(file: URL, _ response: HTTPURLResponse) throws -> (URL, HTTPURLResponse) {
        try Self.whole(taking.open(file, response, fields))
    }

    private static func whole<Body>(_ received: Received<Body>) throws -> (Body, HTTPURLResponse) {
        guard let body = received.body, received.head.isSealed else { throw received.head.notSealed }
        return (body, received.response)
    }

    public var description: String { "AnswerOpener(redacted)" }
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}

/// What came for one request. `body` is nil for an answer in clear where a sealed one is wanted: it is not handed out.
struct Received<Body: Sendable>: Sendable {
    let body: Body?
    let response: HTTPURLResponse
    let head: AnswerHead

    /// What was sealed, or what came in clear to who wants it so.
    init(body: Body?, response: HTTPURLResponse, head: AnswerHead) {
        self.body = body
        self.response = response
        self.head = head
    }

    init(_ answer: (Body, HTTPURLResponse)) {
        self.init(body: answer.0, response: answer.1, head: AnswerHead(answer.1))
    }
}

/// Takes answers that are to be sealed.
struct SealedTaking: Sendable {
    let crypto: any Crypto
    /// The longest sealed answer that is held in memory, in octets over the wire.
    var heldOctets = 96 * 1024 * 1024

    /// Throws `BonafideError.sealRefused` and what the courier throws.
    func data(
        for request: URLRequest, fromFile file: URL?, _ fields: ProofFields, by courier: URLCourier
    ) async throws -> Received<Data> {
        let request = request.forSealedAnswer()
        let (data, response): (Data, HTTPURLResponse)
        do {
            if let file {
                (data, response) = try await courier.upload(for: request, fromFile: file, upTo: heldOctets)
            } else {
                (data, response) = try await courier.data(for: request, upTo: heldOctets)
            }
        } catch BonafideError.answerRefused("size") {
            throw BonafideError.sealRefused("sealed.too_large")
        }
        return try open(data, response, fields)
    }

    /// What came for one request, with the fields that proved it. Throws `BonafideError.sealRefused`.
    func open(_ data: Data, _ response: HTTPURLResponse, _ fields: ProofFields) throws -> Received<Data> {
        var rest = data[...]
        return try open(response, fields, into: UnreleasedData(), octets: \.count) {
            let piece = rest.prefix(SealedForm.recordOctets)
            rest = rest.dropFirst(piece.count)
            return piece.isEmpty ? nil : [UInt8](piece)
        }
    }

    /// Likewise, from file to file.
    func file(for request: URLRequest, _ fields: ProofFields, by courier: URLCourier) async throws -> Received<URL> {
        let (sealed, response) = try await courier.download(for: request.forSealedAnswer())
        defer { try? FileManager.default.removeItem(at: sealed) }
        return try open(sealed, response, fields)
    }

    /// Likewise, of what was written to a file.
    func open(_ sealed: URL, _ response: HTTPURLResponse, _ fields: ProofFields) throws -> Received<URL> {
        guard let handle = try? FileHandle(forReadingFrom: sealed) else { throw URLError(.cannotOpenFile) }
        defer { try? handle.close() }
        return try open(response, fields, into: UnreleasedFile(), octets: Self.octets) {
            try Task.checkCancellation()
            return try handle.piece()
        }
    }

    private func open<Keeper: UnreleasedBody>(
        _ response: HTTPURLResponse, _ fields: ProofFields, into body: @autoclosure () throws -> Keeper,
        octets: (Keeper.Released) -> Int, next: () throws -> [UInt8]?
    ) throws -> Received<Keeper.Released> {
        let head = AnswerHead(response)
        guard head.saysSealed else { return Received(body: nil, response: response, head: head) }
        let opened = try fields.open(head, into: body(), crypto: crypto, next: next)
        guard let url = response.url,
            let rebuilt = HTTPURLResponse.opened(opened, from: url, octets: octets(opened.body))
        else { throw BonafideError.sealRefused("sealed.fields_malformed") }
        return Received(body: opened.body, response: rebuilt, head: opened.head)
    }

    private static func octets(_ file: URL) -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: file.path)
        return (attributes?[.size] as? NSNumber)?.intValue ?? 0
    }
}

extension URLRequest {
    /// The request without what asks for a part of an answer, for another form of it, or for one from before.
    func forSealedAnswer() -> URLRequest {
        var request = self
        for name in (allHTTPHeaderFields ?? [:]).keys
        where name.lowercased() == "range" || name.lowercased().hasPrefix("if-") {
            request.setValue(nil, forHTTPHeaderField: name)
        }
        // Sealed octets do not shrink, and a server that tries is one that touches bodies.
        request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
        request.cachePolicy = .reloadIgnoringLocalCacheData
        return request
    }
}

extension HTTPURLResponse {
    /// The answer as the API gave it: a field that stands more than once is joined, as URLSession does.
    static func opened(_ answer: SealedAnswer<some Any>, from url: URL, octets: Int) -> HTTPURLResponse? {
        var fields: [String: String] = [:]
        for field in answer.fields where field.name != "content-length" {
            let name = field.name.split(separator: "-", omittingEmptySubsequences: false).map { word in
                word.prefix(1).uppercased() + word.dropFirst()
            }.joined(separator: "-")
            fields[name] = fields[name].map { "\($0), \(field.value)" } ?? field.value
        }
        fields["Content-Length"] = String(octets)
        return HTTPURLResponse(
            url: url, statusCode: answer.head.status, httpVersion: "HTTP/1.1", headerFields: fields)
    }
}
