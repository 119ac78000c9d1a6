import BonafideCore
import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Sends requests as they are: what a proof covers must not change on the way.
///
/// No redirect is followed, no cookie added or kept, no credential added. Errors are URLSession's own, and
/// `BonafideError.pinMismatch`. Cancelling the task cancels the transfer.
final class URLCourier: Sendable {
    /// Fields that the session would add by itself; they are put on requests before these are signed.
    let additionalHeaders: [String: String]
    /// Whether the session is one that lives on in another process: its tasks cannot be waited for.
    let isBackground: Bool
    private let session: URLSession
    private let delegate: CourierDelegate
    private let isOwner: Bool

    /// Sends through a session of its own, which takes timeouts, proxies and the like from `configuration`.
    init(configuration: URLSessionConfiguration, pins: PinBoard) {
        additionalHeaders = Self.headers(of: configuration)
        isBackground = configuration.identifier != nil
        let own = isBackground ? .ephemeral : Self.copy(of: configuration)
        own.httpCookieStorage = nil
        own.httpShouldSetCookies = false
        own.httpCookieAcceptPolicy = .never
        own.httpAdditionalHeaders = nil
        own.urlCredentialStorage = nil
        delegate = CourierDelegate(pins: pins)
        session = URLSession(configuration: own, delegate: delegate, delegateQueue: nil)
        isOwner = true
    }

    /// Sends through a given session. Pins then hold as far as its own delegate leaves challenges alone.
    init(session: URLSession, pins: PinBoard) {
        additionalHeaders = Self.headers(of: session.configuration)
        isBackground = session.configuration.identifier != nil
        delegate = CourierDelegate(pins: pins)
        self.session = session
        isOwner = false
    }

    deinit {
        // A session holds its delegate until then.
        if isOwner { session.finishTasksAndInvalidate() }
    }

    /// Has the next requests go over new connections, whose certificates are judged by the pins that hold now.
    ///
    /// A given session keeps those that it has: they are its owner's.
    func closeConnections() {
        if isOwner { session.flush {} }
    }

    func data(for request: URLRequest) async throws -> (Data, HTTPURLResponse) {
        try await transfer { session, completion in
            session.dataTask(with: request) { completion(.init($0 ?? Data(), $1, $2)) }
        }
    }

    /// Reads no more of the answer's body than `limit` octets: beyond them it throws
    /// `BonafideError.answerRefused("size")`.
    func data(for request: URLRequest, upTo limit: Int) async throws -> (Data, HTTPURLResponse) {
        try await transfer { [delegate] session, completion in
            let task = session.dataTask(with: request)
            delegate.gather(task, upTo: limit) { completion(.init($0, $1, $2)) }
            return task
        }
    }

    /// As `data(for:upTo:)`.
    func upload(
        for request: URLRequest, fromFile file: URL, upTo limit: Int
    ) async throws -> (Data, HTTPURLResponse) {
        try await transfer { [delegate] session, completion in
            let task = session.uploadTask(with: request, fromFile: file)
            delegate.gather(task, upTo: limit) { completion(.init($0, $1, $2)) }
            return task
        }
    }

    func upload(for request: URLRequest, fromFile file: URL) async throws -> (Data, HTTPURLResponse) {
        try await transfer { session, completion in
            session.uploadTask(with: request, fromFile: file) { completion(.init($0 ?? Data(), $1, $2)) }
        }
    }

    /// Returns a file in the temporary directory, which is the caller's to move or to remove.
    func download(for request: URLRequest) async throws -> (URL, HTTPURLResponse) {
        try await transfer { session, completion in
            session.downloadTask(with: request) { file, response, error in
                // URLSession removes its file when this returns.
                completion(.init(file.flatMap { try? Self.keep($0) }, response, error))
            }
        }
    }

    private typealias Completion<Body: Sendable> = @Sendable (Outcome<Body>) -> Void

    private func transfer<Body: Sendable>(
        _ make: (URLSession, @escaping Completion<Body>) -> URLSessionTask
    ) async throws -> (Body, HTTPURLResponse) {
        let running = RunningTask()
        let outcome: Outcome<Body> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let task = make(session) { continuation.resume(returning: $0) }
                task.delegate = delegate
                running.start(task)
            }
        } onCancel: {
            running.cancel()
        }
        do {
            return try outcome.get()
        } catch let error as URLError where error.code == .cancelled && !Task.isCancelled {
            // That is how a refused certificate comes out.
            guard let host = error.failingURL?.host, delegate.hasRefused(host) else { throw error }
            throw BonafideError.pinMismatch(host: host)
        }
    }

    private static func keep(_ file: URL) throws -> URL {
        let kept = FileManager.default.temporaryDirectory.appendingPathComponent(
            "bonafide-\(UUID().uuidString)", isDirectory: false)
        try FileManager.default.moveItem(at: file, to: kept)
        return kept
    }

    private static func copy(of configuration: URLSessionConfiguration) -> URLSessionConfiguration {
        configuration.copy() as? URLSessionConfiguration ?? .default
    }

    private static func headers(of configuration: URLSessionConfiguration) -> [String: String] {
        let pairs = (configuration.httpAdditionalHeaders ?? [:]).compactMap { name, value -> (String, String)? in
            guard let name = name as? String, let value = value as? String else { return nil }
            return (name, value)
        }
        return Dictionary(pairs) { first, _ in first }
    }
}

/// What a task of URLSession ended with.
private struct Outcome<Body: Sendable>: Sendable {
    private let result: Result<(Body, HTTPURLResponse), any Error>

    init(_ body: Body?, _ response: URLResponse?, _ error: (any Error)?) {
        if let error {
            result = .failure(error)
        } else if let body, let response = response as? HTTPURLResponse {
            result = .success((body, response))
        } else {
            result = .failure(URLError(.badServerResponse))
        }
    }

    func get() throws -> (Body, HTTPURLResponse) { try result.get() }
}

/// A task that may be cancelled before it is there.
private final class RunningTask: Sendable {
    private let state = Guarded<(task: URLSessionTask?, isCancelled: Bool)>((nil, false))

    func start(_ task: URLSessionTask) {
        let isCancelled = state.withLock { state in
            state.task = task
            return state.isCancelled
        }
        task.resume()
        if isCancelled { task.cancel() }
    }

    func cancel() {
        let task = state.withLock { state in
            state.isCancelled = true
            return state.task
        }
        task?.cancel()
    }
}
