public import BonafideCore
public import Foundation

#if canImport(FoundationNetworking)
    public import FoundationNetworking
#endif

/// Requests as URLSession has them, each with its proof.
///
/// What a refusal asks for is done within bounds, and then the last answer is returned, whatever its status. A redirect
/// is returned as it is, but for those that `Options.followsRedirects` lets follow. Throws `BonafideError` and
/// `URLError`. Cancelling the task cancels the transfer, and throws `URLError.cancelled`, or `CancellationError` before
/// anything is sent.
extension Bonafide {
    /// Sends a request and returns the answer.
    public func data(
        for request: URLRequest, proof: ProofKind = .session
    ) async throws -> (Data, HTTPURLResponse) {
        try await data(for: request, proof: proof, answer: .clear)
    }

    /// Sends a file as the request's body. It is read twice, to be hashed and to be sent, and never held in memory.
    public func upload(
        for request: URLRequest, fromFile file: URL, proof: ProofKind = .session
    ) async throws -> (Data, HTTPURLResponse) {
        try await upload(for: request, fromFile: file, proof: proof, answer: .clear)
    }

    /// Sends a request and returns the answer's body as a file in the temporary directory, the caller's to move or
    /// to remove.
    public func download(
        for request: URLRequest, proof: ProofKind = .session
    ) async throws -> (URL, HTTPURLResponse) {
        try await download(for: request, proof: proof, answer: .clear)
    }

    func exchange<Body: Sendable>(
        _ request: URLRequest, file: URL?, proof: ProofKind, answer kind: AnswerKind,
        send: (URLRequest, URL?, ProofFields) async throws -> Received<Body>, discard: (Body) -> Void = { _ in }
    ) async throws -> (Body, HTTPURLResponse) {
        let (client, preparation) = try ready()
        var next = Redirect(request: request, keepsBody: true)
        var file = file
        for _ in 0..<Redirect.maxFollowed {
            let sent = next.request
            let answer = try await client.exchange(sent, file: file, proof, kind, preparation, send, discard)
            let location = answer.1.value(forHTTPHeaderField: "Location")
            guard setting.options.followsRedirects,
                let redirect = Redirect(after: sent, status: answer.1.statusCode, location: location)
            else { return answer }
            discard(answer.0)
            next = redirect
            if !next.keepsBody { file = nil }
        }
        return try await client.exchange(next.request, file: file, proof, kind, preparation, send, discard)
    }
}

extension Client {
    /// Sends one request until its answer asks for nothing more, redirects not followed. Bodies that are not returned
    /// are discarded.
    fileprivate func exchange<Body: Sendable>(
        _ request: URLRequest, file: URL?, _ proof: ProofKind, _ kind: AnswerKind, _ preparation: Preparation,
        _ send: (URLRequest, URL?, ProofFields) async throws -> Received<Body>, _ discard: (Body) -> Void
    ) async throws -> (Body, HTTPURLResponse) {
        let signable = try SignableRequest(request, file: file, by: preparation)
        var last: Body?
        do {
            let received = try await perform(
                signable.head, proof: proof, answer: kind, repeatable: signable.isRepeatable
            ) { fields in
                last.map(discard)
                last = nil
                let received = try await send(signable.proven(by: fields), file, fields)
                last = received.body
                // Who wants a sealed answer takes no cookie of one in clear.
                if kind == .clear || received.head.isSealed {
                    preparation.keepCookies(of: received.response, to: request)
                }
                return (received, received.head)
            }
            guard let body = received.body else { throw BonafideError.sealRefused("sealed.not_sealed") }
            return (body, received.response)
        } catch {
            last.map(discard)
            throw error
        }
    }
}
