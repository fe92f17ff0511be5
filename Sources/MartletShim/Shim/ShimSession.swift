import CMartlet
import DequeModule
import Martlet
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One `ssh` that a tool runs: from its hello to its exit. All on the polling thread.
final class ShimSession: EventHandler {
    private struct State {
        var bytes: [UInt8] = []
        var lent: [Int32] = []
        var hasHello = false
        var joined: JoinedStream?
        /// Writes what is answered without any context.
        var answer: LentSink?
        /// Of each message to the shim that is not written yet: the payload that it came in, 0 for our own.
        var costs = Deque<Int>()
        /// With what it was told to exit.
        var status: UInt8?
        var isOver = false
        var timer: Reactor.TimerToken?
    }

    private let socket: EventSource
    private let replies: Mutex<ByteSink?> = Mutex(nil)
    private let reactor: Reactor
    private let token: String
    private let hosts: SSHHosts
    private let onEnd: @Sendable (ShimSession) -> Void
    private let state = Mutex(State())

    /// How long a shim may take to say what it wants, in nanoseconds.
    private static let helloLimit: UInt64 = 10_000_000_000
    /// How often an `ssh` that runs nothing looks whether its context is there, in nanoseconds.
    private static let lookPeriod: UInt64 = 1_000_000_000
    private static let headCount = 5

    /// Takes `descriptor` over.
    init(
        _ descriptor: Int32, _ reactor: Reactor, token: String, _ hosts: SSHHosts,
        onEnd: @escaping @Sendable (ShimSession) -> Void
    ) {
        socket = EventSource(descriptor, reactor: reactor)
        self.reactor = reactor
        self.token = token
        self.hosts = hosts
        self.onEnd = onEnd
    }

    func begin() {
        let copy = duplicateDescriptor(socket.descriptor)
        guard copy >= 0 else { return end("too many descriptors are open") }
        let sink = ByteSink(copy, reactor: reactor) { [self] _ in
            let (joined, cost) = state.withLock { ($0.joined, $0.costs.popFirst() ?? 0) }
            if cost > 0 { joined?.consumed(cost) }
        }
        replies.withLock { $0 = sink }
        let timer = reactor.schedule(at: Reactor.now + Self.helloLimit) { [self] in
            if !state.withLock({ $0.hasHello }) { end("it does not say what it wants") }
        }
        let isOver = state.withLock { state in
            if !state.isOver { state.timer = timer }
            return state.isOver
        }
        // The scope has ended meanwhile: nobody else knows of these.
        if isOver {
            reactor.cancel(timer)
            return closeReplies()
        }
        if (try? socket.watch(for: .readable, self)) == nil { end("its socket cannot be watched") }
    }

    // MARK: From the shim

    func ready(_ readiness: Readiness) {
        var ended = false
        withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 16) { room in
            var descriptors: (Int32, Int32) = (-1, -1)
            let count = withUnsafeMutableBytes(of: &descriptors) {
                martlet_shim_receive(
                    socket.descriptor, room.baseAddress!, room.count, $0.bindMemory(to: Int32.self).baseAddress!)
            }
            let isLate = state.withLock { state in
                guard !state.isOver, state.lent.isEmpty, !state.hasHello else { return true }
                state.lent = [descriptors.0, descriptors.1].filter { $0 >= 0 }
                return false
            }
            if isLate {
                for descriptor in [descriptors.0, descriptors.1] where descriptor >= 0 { closeDescriptor(descriptor) }
            }
            if count == -Int(EAGAIN) || count == -Int(EINTR) { return }
            guard count > 0 else {
                ended = true
                return
            }
            state.withLock { $0.bytes.append(contentsOf: room[..<count]) }
        }
        if ended { return end("the tool has ended its ssh") }
        readMessages()
    }

    private func readMessages() {
        while true {
            enum Step { case none, message(UInt8, ArraySlice<UInt8>), wrong }
            let step = state.withLock { state -> Step in
                guard !state.isOver, state.bytes.count >= Self.headCount else { return .none }
                let count = Int(state.bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) })
                let kind = state.bytes[4]
                guard count <= (state.hasHello ? 64 : ShimHello.limit) else { return .wrong }
                guard state.bytes.count >= Self.headCount + count else { return .none }
                let body = state.bytes[Self.headCount..<Self.headCount + count]
                state.bytes.removeFirst(Self.headCount + count)
                return .message(kind, body)
            }
            switch step {
            case .none: return
            case .wrong: return end("it says something unknown")
            case .message(UInt8(MARTLET_SHIM_HELLO), let body):
                let isFirst = state.withLock { state in
                    defer { state.hasHello = true }
                    return !state.hasHello
                }
                guard isFirst, let hello = ShimHello(body), isKnown(hello) else { return end("it is not one of ours") }
                start(hello)
            case .message(UInt8(MARTLET_SHIM_SIZE), let body):
                guard body.count == 4 else { return end("it says something unknown") }
                let sizes = Array(body).withUnsafeBytes { bytes in
                    [0, 2].map { bytes.loadUnaligned(fromByteOffset: $0, as: UInt16.self) }
                }
                state.withLock { $0.joined }?.say(.size, sizes.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] })
            default: return end("it says something unknown")
            }
        }
    }

    private func isKnown(_ hello: ShimHello) -> Bool {
        let (given, own) = (Array(hello.token.utf8), Array(token.utf8))
        return given.count == own.count && zip(given, own).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    // MARK: What it wants

    private func start(_ hello: ShimHello) {
        guard state.withLock({ $0.lent.count == 2 }) else { return end("it lends nothing") }
        switch SSHArguments.read(Array(hello.arguments.dropFirst())) {
        case .answer(let output, let error, let status): answer(output, error, status)
        case .invocation(let invocation):
            guard let context = hosts.context(invocation.host) else {
                say("ssh: Could not resolve hostname \(invocation.host): no context has this name\n")
                return exit(255)
            }
            start(invocation, hello, context)
        }
    }

    /// - Parameter output: for whoever reads the tool's pipe, when they do.
    private func answer(_ output: String, _ error: String, _ status: UInt8) {
        guard let (input, descriptor) = takeLent() else { return }
        closeDescriptor(input)
        let sink = LentSink(descriptor, reactor: reactor) { _ in
        } onDone: { [self] _ in
            exit(status)
        }
        let isOver = state.withLock { state in
            if !state.isOver { state.answer = sink }
            return state.isOver
        }
        if isOver { return sink.close() }
        say(error)
        Array(output.utf8).withUnsafeBytes { sink.write($0, cost: 0) }
        sink.finish()
    }

    /// What the tool has lent, for `joined` if there is one; `nil` if the session is over.
    private func takeLent(for joined: JoinedStream? = nil) -> (input: Int32, output: Int32)? {
        state.withLock { state -> (input: Int32, output: Int32)? in
            guard !state.isOver, state.lent.count == 2 else { return nil }
            defer { state.lent = [] }
            state.joined = joined
            return (state.lent[0], state.lent[1])
        }
    }

    private func start(_ invocation: SSHInvocation, _ hello: ShimHello, _ context: Context) {
        if invocation.verbosity > 0 {
            let user = invocation.user.map { ", not as \($0)" } ?? ""
            say("debug1: \(invocation.host) is \(context.route) [user \(context.facts.user)\(user)]\n")
        }
        let hasTerminal = wantsTerminal(invocation, hello)
        let connection: (host: String, port: UInt16)?
        if case .connection(let host, let port) = invocation.session {
            connection = (host, port)
        } else {
            connection = nil
        }
        let joined = JoinedStream(context.node, connection == nil ? .command : .connection) { [self] bytes, payload in
            sayError(bytes, payload)
        } onEnd: { [self] outcome in
            ended(outcome, invocation, context)
        }
        guard let (input, output) = takeLent(for: joined) else { return }
        let wantsInput = !invocation.hasNoInput && invocation.session != .nothing
        if !wantsInput { closeDescriptor(input) }
        joined.attach(input: wantsInput ? input : nil, output: output)
        let terminal: (UInt16, UInt16, String)? =
            hasTerminal
            ? (
                hello.columns == 0 ? 80 : hello.columns, hello.rows == 0 ? 24 : hello.rows,
                hello.environment["TERM"] ?? "xterm"
            )
            : nil
        let environment = invocation.environment(from: hello.environment)
        do {
            switch invocation.session {
            case .nothing: break
            case .connection:
                try context.dial(.place(.port(connection!.port, host: connection!.host)), joined)
            case .command(let line):
                try context.join(JoinedRequest(.line(line), environment: environment, terminal: terminal), joined)
            case .login: try context.join(JoinedRequest(.login, environment: environment, terminal: terminal), joined)
            case .subsystem(let name):
                guard let program = SSHSubsystem.program(name) else {
                    joined.cancel("an unknown subsystem")
                    say("subsystem request failed on channel 0\n")
                    return exit(255)
                }
                try context.join(JoinedRequest(program, environment: environment, terminal: terminal), joined)
            }
        } catch {
            joined.cancel("it was not started")
            say("ssh: connect to host \(invocation.host): \(error)\n")
            return exit(255)
        }
        // It may have been cancelled before it had a stream to end.
        if state.withLock({ $0.isOver }) { return joined.cancel("the scope has ended") }
        let begin: UInt8 = (wantsInput ? 1 : 0) | (hasTerminal && hello.inputIsTerminal ? 2 : 0)
        reply(UInt8(MARTLET_SHIM_BEGIN), [begin])
        if invocation.session == .nothing { watchLink(invocation, context) } else { joined.begin() }
    }

    /// Without a stream nobody tells that the context is lost.
    private func watchLink(_ invocation: SSHInvocation, _ context: Context) {
        guard context.hasLink else {
            state.withLock { $0.joined }?.cancel("the context is lost")
            say("ssh: \(invocation.host) [\(context.route)]: the context is not connected any more\n")
            return exit(255)
        }
        let timer = reactor.schedule(at: Reactor.now + Self.lookPeriod) { [weak self] in
            self?.watchLink(invocation, context)
        }
        let (old, isOver) = state.withLock { state in
            defer { if !state.isOver { state.timer = timer } }
            return (state.timer, state.isOver)
        }
        if let old { reactor.cancel(old) }
        if isOver { reactor.cancel(timer) }
    }

    private func wantsTerminal(_ invocation: SSHInvocation, _ hello: ShimHello) -> Bool {
        let canHave = hello.inputIsTerminal && !invocation.hasNoInput
        switch invocation.terminal {
        case .never: return false
        case .forced: return true
        case .automatic where invocation.session != .login: return false
        case .wanted, .automatic:
            if !canHave, !invocation.isQuiet {
                say("Pseudo-terminal will not be allocated because stdin is not a terminal.\n")
            }
            return canHave
        }
    }

    private func ended(_ outcome: JoinedStream.Outcome, _ invocation: SSHInvocation, _ context: Context) {
        switch outcome {
        case .ended(.exited(let code)): exit(UInt8(truncatingIfNeeded: code))
        case .ended(.signalled(let number)):
            if !invocation.isQuiet {
                say(
                    "ssh: the command on \(invocation.host) was ended by signal \(Termination.signalled(number).signalName!)\n"
                )
            }
            exit(255)
        case .ended(.failed(var failure)):
            failure.route = context.route
            say("ssh: \(invocation.host): \(failure)\n")
            exit(255)
        case .lost(let reason):
            say("ssh: \(invocation.host) [\(context.route)]: \(reason.message)\n")
            exit(255)
        }
    }

    // MARK: To the shim

    private func reply(_ kind: UInt8, _ bytes: [UInt8], cost: Int = 0) {
        var message: [UInt8] = []
        message.reserveCapacity(Self.headCount + bytes.count)
        withUnsafeBytes(of: UInt32(bytes.count)) { message += $0 }
        message.append(kind)
        state.withLock { $0.costs.append(cost) }
        replies.withLock { $0 }?.write(message + bytes)
    }

    private func sayError(_ bytes: UnsafeRawBufferPointer, _ payload: Int) {
        reply(UInt8(MARTLET_SHIM_ERROR), Array(bytes), cost: payload)
    }

    /// Something of our own, for its standard error.
    private func say(_ text: String) {
        if !text.isEmpty { reply(UInt8(MARTLET_SHIM_ERROR), Array(text.utf8)) }
    }

    private func exit(_ status: UInt8) {
        let (isFirst, lent) = state.withLock { state in
            defer { (state.status, state.joined, state.lent) = (status, nil, []) }
            return (state.status == nil, state.lent)
        }
        for descriptor in lent { closeDescriptor(descriptor) }
        if isFirst { reply(UInt8(MARTLET_SHIM_STATUS), [status]) }
    }

    // MARK: End

    /// The shim has ended, or is to.
    func end(_ why: String) {
        let (isFirst, joined, answer, lent, timer) = state.withLock { state in
            defer {
                (state.isOver, state.joined, state.answer, state.lent, state.timer) = (true, nil, nil, [], nil)
            }
            return (!state.isOver, state.joined, state.answer, state.lent, state.timer)
        }
        guard isFirst else { return }
        if let timer { reactor.cancel(timer) }
        joined?.cancel(why)
        answer?.close()
        for descriptor in lent { closeDescriptor(descriptor) }
        socket.close()
        closeReplies()
        onEnd(self)
    }

    private func closeReplies() {
        let sink = replies.withLock { sink in
            defer { sink = nil }
            return sink
        }
        sink?.close()
    }
}
