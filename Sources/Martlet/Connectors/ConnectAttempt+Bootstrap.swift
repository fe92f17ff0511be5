import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What the far side prints, until its agent speaks.
extension ConnectAttempt {
    func ready(_ readiness: Readiness) {
        guard let input = state.withLock({ $0.input }) else { return }
        withUnsafeTemporaryAllocation(byteCount: 64 * 1024, alignment: 16) { buffer in
            let count = readBytes(input.descriptor, buffer.baseAddress!, buffer.count)
            if count > 0 {
                received(UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
            } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
                try? input.watch(for: [], self)
                state.withLock { $0.outputEnded = true }
                endedIfSettled()
            }
        }
    }

    func received(_ bytes: UnsafeRawBufferPointer) {
        let actions = state.withLock { state in
            let elapsed = Duration.nanoseconds(Reactor.now - state.lastSend)
            defer { if state.plan.hasReport { state.dialogue.end() } }
            return state.plan.received(bytes, elapsed: elapsed)
        }
        perform(actions)
    }

    func perform(_ actions: [BootstrapPlan.Action]) {
        for action in actions {
            switch action {
            case .chooseImage(let system, let machine):
                enter(.boot)
                let platform = image?.platform(system: system, machine: machine)
                let parts = platform.flatMap { image?.parts(of: $0) }
                let actions = state.withLock { state in
                    state.platform = platform ?? 0
                    return state.plan.imageChosen(parts, encodings: image?.encodings ?? [])
                }
                perform(actions)
            case .send(let text):
                send(Array(text.utf8))
            case .sendParts(let indexes, let encoding):
                sendParts(indexes, encoding)
            case .sendProgram:
                enter(.boot)
                sendProgram()
            case .linkUp(let early):
                enter(.handshake)
                linkUp(early)
            case .fail(let failure):
                // How the program in front ends says more than the silence it leaves.
                let isOver = state.withLock { state in
                    state.outputEnded = true
                    return state.exit != nil
                }
                if isOver { fail(error(for: failure)) } else { failWhenSettled(failure) }
            }
        }
    }

    func send(_ bytes: [UInt8]) {
        let sink = state.withLock { state in
            state.lastSend = Reactor.now
            return state.sink
        }
        sink?.write(bytes)
    }

    private func sendProgram() {
        guard let program = options.script?.program else { return }
        state.withLock { state in
            state.timings.wasCached = false
            state.timings.bytesSent += program.count
        }
        send(program)
    }

    func sendParts(_ indexes: [Int], _ encoding: PartEncoding) {
        guard let image else { return }
        let platform = state.withLock { $0.platform }
        // Reading and compressing may block: that is a job's business. It ends by itself; if the attempt is over by then,
        // the sink drops what it gets.
        Task(executorPreference: runtime.reactor) { [self] in
            do {
                let packed = try await image.content(of: platform, indexes, encoding)
                state.withLock { state in
                    state.timings.wasCached = false
                    state.timings.bytesSent += packed.bytes.count
                }
                send(Array(SecondStage.dataLine(encoding: packed.encoding, byteCount: packed.bytes.count).utf8))
                send(packed.bytes)
            } catch var error as MartletError {
                (error.route, error.phase) = (route, .boot)
                fail(error)
            } catch {
                fail(MartletError(.imageUnusable, "the image cannot be read: \(error)", route: route, phase: .boot))
            }
        }
    }

    func receivedErrors(_ lines: [String]) {
        let child = state.withLock { $0.child }
        for line in lines {
            if let phase = connector.phase(after: line) { enter(phase) }
            if connector.isNoise(line) {
                state.withLock { if $0.chatter.count < 100 { $0.chatter.append(String(line.prefix(1000))) } }
                continue
            }
            state.withLock { if $0.asking.usesPipes { $0.dialogue.line(line) } }
            if let child {
                runtime.childWrote(line, child)
            } else {
                state.withLock { state in
                    state.errorTail.append(line)
                    if state.errorTail.count > 100 { state.errorTail.removeFirst() }
                }
            }
        }
    }

    func enter(_ phase: ConnectPhase) {
        let left = state.withLock { state -> (ConnectPhase, Duration)? in
            guard state.child == nil, phase.order > state.phase.order else { return nil }
            return state.enter(phase)
        }
        if let left { onProgress(left.0, left.1) }
    }
}
