import CMartlet
package import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Makes one connection: looks a name up, and tries its addresses one after the other.
package final class Dialer: EventHandler {
    private struct State {
        var addresses: ArraySlice<String> = []
        var source: EventSource?
        var lookup: AddressLookup?
        var timer: Reactor.TimerToken?
        var failures: [String] = []
        var isOver = false
    }

    private let place: ForwardPlace
    private let runtime: ContextRuntime
    private let onResult: @Sendable (Result<Int32, DialFailure>) -> Void
    private let state = Mutex(State())

    /// How long one address may take, in nanoseconds.
    private static let limit: UInt64 = 10_000_000_000
    private static let maximumAddresses = 8

    package struct DialFailure: Error {
        package var message: String
    }

    /// - Parameter onResult: called once, unless it is cancelled; the descriptor is the caller's then.
    package init(
        _ place: ForwardPlace, _ runtime: ContextRuntime,
        onResult: @escaping @Sendable (Result<Int32, DialFailure>) -> Void
    ) {
        self.place = place
        self.runtime = runtime
        self.onResult = onResult
    }

    package func begin() {
        switch place {
        case .socket(let path):
            let descriptor = martlet_socket_connect(path)
            if descriptor >= 0 { return finish(.success(descriptor)) }
            fail(SystemError.text(-descriptor))
        case .port(let port, let host):
            let host = host ?? "localhost"
            if port == 0 { return fail("port 0 is none") }
            if martlet_is_address(host) { return tryNext([host]) }
            if host == "localhost" { return tryNext(["127.0.0.1", "::1"]) }
            let lookup = AddressLookup(host, runtime) { [self] result in
                state.withLock { $0.lookup = nil }
                switch result {
                case .success(let addresses): tryNext(addresses.prefix(Self.maximumAddresses))
                case .failure(let failure): fail(failure.message)
                }
            }
            state.withLock { $0.lookup = lookup }
            lookup.begin()
        }
    }

    package func cancel() {
        let (lookup, source, timer) = state.withLock { state in
            defer { (state.isOver, state.lookup, state.source, state.timer) = (true, nil, nil, nil) }
            return (state.lookup, state.source, state.timer)
        }
        lookup?.cancel()
        source?.close()
        if let timer { runtime.reactor.cancel(timer) }
    }

    private func tryNext(_ addresses: ArraySlice<String>) {
        guard case .port(let port, _) = place else { return }
        var addresses = addresses
        while let address = addresses.popFirst() {
            let descriptor = martlet_dial(address, port)
            guard descriptor >= 0 else {
                note(address, SystemError.text(-descriptor))
                continue
            }
            let source = EventSource(descriptor, reactor: runtime.reactor)
            let rest = addresses
            let timer = runtime.reactor.schedule(at: Reactor.now + Self.limit) { [self] in
                over(address, rest, "no answer for \(Self.limit / 1_000_000_000) s")
            }
            let isOver = state.withLock { state in
                if !state.isOver { (state.source, state.timer, state.addresses) = (source, timer, [address] + rest) }
                return state.isOver
            }
            if isOver {
                runtime.reactor.cancel(timer)
                return source.close()
            }
            if (try? source.watch(for: .writable, self)) == nil { over(address, rest, "cannot be watched") }
            return
        }
        let failures = state.withLock { $0.failures }
        fail(
            failures.count == 1 ? String(failures[0].drop { $0 != " " }.dropFirst()) : failures.joined(separator: "; "))
    }

    private func note(_ address: String, _ why: String) { state.withLock { $0.failures.append("\(address): \(why)") } }

    package func ready(_ readiness: Readiness) {
        let (source, timer, addresses) = state.withLock { ($0.source, $0.timer, $0.addresses) }
        guard let source, let address = addresses.first else { return }
        let error = martlet_socket_error(source.descriptor)
        guard error == 0 else { return over(address, addresses.dropFirst(), SystemError.text(error)) }
        if let timer { runtime.reactor.cancel(timer) }
        // The source closes its own.
        let descriptor = duplicateDescriptor(source.descriptor)
        source.close()
        if descriptor < 0 { fail("too many descriptors are open") } else { finish(.success(descriptor)) }
    }

    private func over(_ address: String, _ rest: ArraySlice<String>, _ why: String) {
        let (source, timer, isOver) = state.withLock { state in
            defer { (state.source, state.timer) = (nil, nil) }
            return (state.source, state.timer, state.isOver)
        }
        guard !isOver, let source else { return }
        source.close()
        if let timer { runtime.reactor.cancel(timer) }
        note(address, why)
        tryNext(rest)
    }

    private func fail(_ why: String) { finish(.failure(DialFailure(message: "\(place): \(why)"))) }

    private func finish(_ result: Result<Int32, DialFailure>) {
        let isFirst = state.withLock { state in
            defer { state.isOver = true }
            return !state.isOver
        }
        if isFirst { return onResult(result) }
        if case .success(let descriptor) = result { closeDescriptor(descriptor) }
    }
}
