import Martlet
import MartletReactor
import Synchronization

/// Runs `body` with a server on the loopback that sends back what comes, and closes behind it.
func withEchoServer(
    _ place: ForwardPlace = .port(0, host: "127.0.0.1"), _ body: @Sendable (UInt16) async throws -> Void
) async throws {
    let connections = Connections()
    let listener = try PortListener(place, reactor: .shared) { descriptor, _ in connections.add(descriptor) }
    listener.begin()
    defer {
        listener.close()
        connections.close()
    }
    var chosen: UInt16 = 0
    if case .port(let port, _) = listener.place { chosen = port }
    try await body(chosen)
}

private final class Connections: Sendable {
    private let open = Mutex<[(ByteSource, ByteSink)]>([])

    func add(_ descriptor: Int32) {
        let sink = ByteSink(duplicateDescriptor(descriptor), reactor: .shared) { _ in
        } onEnd: { _ in
        }
        let source = ByteSource(descriptor, reactor: .shared) { bytes in
            sink.write(Array(bytes))
            return true
        } onEnd: {
            sink.finish()
        }
        open.withLock { $0.append((source, sink)) }
        source.resume()
    }

    func close() {
        for (source, sink) in open.withLock({ $0 }) {
            source.close()
            sink.close()
        }
    }
}

/// Runs `body` with a server on the loopback that says a word, ends that direction, and then reads all that comes.
func withServerThatEndsFirst(
    _ word: String, _ body: @Sendable (_ port: UInt16, _ count: @escaping @Sendable () -> Int) async throws -> Void
) async throws {
    let readers = Readers()
    let listener = try PortListener(.port(0, host: "127.0.0.1"), reactor: .shared) { descriptor, _ in
        let sink = ByteSink(duplicateDescriptor(descriptor), reactor: .shared) { _ in
        } onEnd: { _ in
        }
        sink.write(Array(word.utf8))
        sink.finish()
        readers.add(descriptor)
    }
    listener.begin()
    defer {
        listener.close()
        readers.close()
    }
    var chosen: UInt16 = 0
    if case .port(let port, _) = listener.place { chosen = port }
    try await body(chosen) { readers.count }
}

private final class Readers: Sendable {
    private let state = Mutex<(count: Int, sources: [ByteSource])>((0, []))

    var count: Int { state.withLock { $0.count } }

    func add(_ descriptor: Int32) {
        let source = ByteSource(descriptor, reactor: .shared) { [self] bytes in
            state.withLock { $0.count += bytes.count }
            return true
        } onEnd: {
        }
        state.withLock { $0.sources.append(source) }
        source.resume()
    }

    func close() {
        let sources = state.withLock { state in
            defer { state.sources = [] }
            return state.sources
        }
        for source in sources { source.close() }
    }
}
