import MartletReactor

/// Compresses by the system's own programs, if it has them.
enum Compressor {
    /// What can be made here; found once.
    static let encodings: Set<PartEncoding> = {
        let path = ProcessEnvironment.current["PATH"]
        var found: Set<PartEncoding> = [.raw]
        for encoding in [PartEncoding.gzip, .zstd] where (try? ProgramSearch.find(encoding.rawValue, path: path)) != nil
        {
            found.insert(encoding)
        }
        return found
    }()

    /// - Throws: ``SystemError`` if the program is missing, fails, or takes more than a minute.
    static func compress(_ bytes: [UInt8], _ encoding: PartEncoding) async throws -> [UInt8] {
        let arguments = encoding == .zstd ? ["zstd", "-q", "-c", "-3"] : ["gzip", "-c", "-6"]
        let environment = ProcessEnvironment.current
        let path = try ProgramSearch.find(arguments[0], path: environment["PATH"])
        return try await LocalFilter.run(path, arguments, environment: environment.strings, input: bytes)
    }
}

/// Runs a program as a filter: bytes in, bytes out.
enum LocalFilter {
    fileprivate struct State {
        var output: [UInt8] = []
        var status: ExitStatus?
        var outputEnded = false
        var continuation: UnsafeContinuation<Void, Never>?
    }

    static func run(
        _ path: String, _ arguments: [String], environment: [String], input: [UInt8]
    ) async throws -> [UInt8] {
        let reactor = Reactor.shared
        let (inputPipe, outputPipe) = try (Pipe(), Pipe())
        let state = Locked(State())
        let source = ByteSource(outputPipe.readEnd, reactor: reactor) { bytes in
            state.withLock { $0.output.append(contentsOf: bytes) }
            return true
        } onEnd: {
            settle(state) { $0.outputEnded = true }
        }
        let sink = ByteSink(inputPipe.writeEnd, reactor: reactor)
        let process: ChildProcess
        do {
            process = try ChildProcess.spawn(
                SpawnRequest(
                    path: path,
                    arguments: arguments,
                    environment: environment,
                    descriptors: (inputPipe.readEnd, outputPipe.writeEnd, 2)
                ),
                reactor: reactor
            ) { status in settle(state) { $0.status = status } }
        } catch {
            for end in [inputPipe.readEnd, outputPipe.writeEnd] { closeDescriptor(end) }
            source.close()
            sink.close()
            throw error
        }
        for end in [inputPipe.readEnd, outputPipe.writeEnd] { closeDescriptor(end) }
        source.resume()
        sink.write(input)
        sink.finish()
        let limit = reactor.schedule(at: Reactor.now + 60_000_000_000) { process.end() }
        await withUnsafeContinuation { continuation in
            settle(state) { $0.continuation = continuation }
        }
        reactor.cancel(limit)
        let (status, output) = state.withLock { ($0.status, $0.output) }
        // 5 is EIO everywhere.
        guard status == .exited(0) else { throw SystemError(5, "run \(path)") }
        return output
    }

    /// Notes a change, and wakes who waits if that was the last one.
    private static func settle(_ state: Locked<State>, _ change: (inout State) -> Void) {
        let continuation = state.withLock { state -> UnsafeContinuation<Void, Never>? in
            change(&state)
            guard state.status != nil, state.outputEnded else { return nil }
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume()
    }
}
