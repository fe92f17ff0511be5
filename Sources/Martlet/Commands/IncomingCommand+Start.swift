import CMartlet
import MartletReactor
import Synchronization

extension IncomingCommand {
    /// Starts the program and joins it with the stream.
    ///
    /// - Parameter image: it was sent; else it is one that is there.
    func start(_ image: SentImage? = nil) throws(SystemError) {
        var environment = ProcessEnvironment.current
        if let terminal = request.terminal { environment["TERM"] = terminal.type }
        for (name, value) in request.environment { environment[name] = value }
        // A static Swift program looks for itself in /proc unless it is told where it is.
        if image != nil { environment["SWIFT_ROOT"] = "/" }
        var arguments = [request.executable] + request.arguments
        let path: String
        if let image {
            path = image.path
        } else if let shell = request.shell {
            (path, arguments) = LoginShell.program(shell, request.executable, environment)
        } else {
            path = try ProgramSearch.find(request.executable, path: environment["PATH"], directory: request.directory)
        }
        let pipes =
            if let terminal = request.terminal { try CommandPipes(terminal) } else {
                try CommandPipes(isConnection: image != nil)
            }
        let process: ChildProcess
        do {
            process = try ChildProcess.spawn(
                SpawnRequest(
                    path: path,
                    executable: image?.descriptor,
                    arguments: arguments,
                    environment: environment.strings,
                    directory: request.directory ?? (request.shell == nil ? nil : LoginShell.home(environment)),
                    descriptors: pipes.program,
                    newSession: pipes.terminal != nil,
                    terminal: pipes.terminal == nil ? nil : pipes.program.0,
                    endsSession: pipes.terminal != nil,
                    nice: request.nice
                ),
                reactor: runtime.reactor
            ) { [self] in exited($0) }
        } catch {
            pipes.close()
            throw error
        }
        pipes.closeProgramEnds()
        runtime.add(process)
        join(process, pipes, hasItems: image != nil)
    }

    private func join(_ process: ChildProcess, _ pipes: CommandPipes, hasItems: Bool) {
        let maximumRead = hasItems ? Self.smallChunk : Self.chunk
        let reader = { (pipe: CommandPipe, descriptor: Int32) in
            ByteSource(descriptor, reactor: self.runtime.reactor, maximumRead: maximumRead) { [self] bytes in
                forward(pipe, bytes)
            } onEnd: { [self] in
                pipeEnded()
            }
        }
        // What stands before each piece of input.
        let head = request.hasControl == true ? 1 : 0
        let sink = ByteSink(pipes.input, reactor: runtime.reactor) { [runtime, key] count in
            runtime.node.consumed(key, payload: count + head)
        }
        let items = hasItems ? reader(.items, duplicateDescriptor(pipes.input)) : nil
        let output = reader(.output, pipes.output)
        let error = pipes.error.map { reader(.error, $0) }
        let isOver = state.withLock { state in
            state.process = process
            guard !state.isOver else { return true }
            (state.output, state.error, state.items, state.input) = (output, error, items, sink)
            state.terminal = pipes.terminal
            state.openPipes = 1 + (error == nil ? 0 : 1) + (items == nil ? 0 : 1)
            if let timeout = request.timeout {
                let timer = runtime.reactor.schedule(at: started + UInt64(timeout) * 1_000_000) { [self] in timeUp() }
                state.timers.append(timer)
            }
            return false
        }
        guard !isOver else {
            for source in [output, error, items] { source?.close() }
            sink.close()
            if let terminal = pipes.terminal { closeDescriptor(terminal) }
            return process.end(grace: grace)
        }
        if !request.hasInput { endInput() }
        resume()
    }
}
