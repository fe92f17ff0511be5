import MartletReactor
import Synchronization

/// Asks the machine for a name's addresses, by `getent`: an agent is a static program, in which the C library cannot.
final class AddressLookup: Sendable {
    private struct State {
        var process: ChildProcess?
        var source: ByteSource?
        var timer: Reactor.TimerToken?
        var bytes: [UInt8] = []
        var isOver = false
    }

    private let name: String
    private let runtime: ContextRuntime
    private let onResult: @Sendable (Result<ArraySlice<String>, Dialer.DialFailure>) -> Void
    private let state = Mutex(State())

    private static let limit: UInt64 = 10_000_000_000
    private static let maximum = 65_536

    init(
        _ name: String, _ runtime: ContextRuntime,
        onResult: @escaping @Sendable (Result<ArraySlice<String>, Dialer.DialFailure>) -> Void
    ) {
        self.name = name
        self.runtime = runtime
        self.onResult = onResult
    }

    func begin() {
        // A name is no option, and no address with a zone.
        let isName = name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x2f } && name.utf8.first != UInt8(ascii: "-")
        guard isName else { return finish("that is no host's name") }
        do throws(SystemError) { try start() } catch {
            finish(
                error.operation.hasPrefix("find ")
                    ? "there is no getent on this machine to look the name up: give an address" : error.description)
        }
    }

    private func start() throws(SystemError) {
        let environment = ProcessEnvironment.current
        let path = try ProgramSearch.find("getent", path: environment["PATH"])
        let output = try Pipe()
        let process: ChildProcess
        do {
            process = try ChildProcess.spawn(
                SpawnRequest(
                    path: path, arguments: ["getent", "ahosts", name], environment: environment.strings,
                    descriptors: (0, output.writeEnd, 2)),
                reactor: runtime.reactor
            ) { _ in }
        } catch {
            output.close()
            throw error
        }
        closeDescriptor(output.writeEnd)
        runtime.add(process)
        let source = ByteSource(output.readEnd, reactor: runtime.reactor) { [self] bytes in
            state.withLock { state in
                if state.bytes.count < Self.maximum { state.bytes += bytes }
            }
            return true
        } onEnd: { [self] in
            finish(nil)
        }
        let timer = runtime.reactor.schedule(at: Reactor.now + Self.limit) { [self] in
            finish("getent did not answer for \(Self.limit / 1_000_000_000) s")
        }
        let isOver = state.withLock { state in
            (state.process, state.source, state.timer) = (process, source, timer)
            return state.isOver
        }
        if isOver { release() } else { source.resume() }
    }

    func cancel() {
        state.withLock { $0.isOver = true }
        release()
    }

    /// - Parameter failure: `nil`: it has said all.
    private func finish(_ failure: String?) {
        let (isFirst, bytes) = state.withLock { state in
            defer { state.isOver = true }
            return (!state.isOver, state.bytes)
        }
        guard isFirst else { return }
        release()
        // Lines of an address, a kind of socket, and a name.
        var addresses: [String] = []
        for line in bytes.split(separator: 0x0a) {
            let address = String(decoding: line.prefix { $0 != 0x20 && $0 != 0x09 }, as: UTF8.self)
            if !addresses.contains(address) { addresses.append(address) }
        }
        if failure == nil, !addresses.isEmpty { return onResult(.success(addresses[...])) }
        onResult(.failure(.init(message: failure ?? "there is no host of this name")))
    }

    private func release() {
        let (process, source, timer) = state.withLock { state in
            defer { (state.source, state.timer) = (nil, nil) }
            return (state.process, state.source, state.timer)
        }
        source?.close()
        if let timer { runtime.reactor.cancel(timer) }
        process?.end(grace: 0)
    }
}
