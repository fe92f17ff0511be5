public import Martlet
public import MartletPython

extension Group {
    /// The same members' own Python: a context each, which is connected when it is first needed and shared by all groups that
    /// the member is in. No image is sent to members by specs.
    public func python(_ runtime: PythonRuntime = .python) -> PythonGroup { PythonGroup(group: self, runtime: runtime) }
}

/// Hosts' own Python interpreters, as one. See ``Group/python(_:)``.
public struct PythonGroup: Sendable {
    /// Its members, and how they are gone through.
    public let group: Group
    /// Which Python.
    public let runtime: PythonRuntime

    /// Calls a function in every member; see ``PythonContext/call(_:_:kw:deadline:returning:)``.
    ///
    ///     let loads = try await web.python().call("os.getloadavg", returning: [Double].self)
    ///
    /// - Throws: as ``Group/call(_:timeout:)``.
    @discardableResult
    public func call<Output: Decodable & Sendable>(
        _ function: String, _ arguments: any Encodable & Sendable..., kw: [String: any Encodable & Sendable] = [:],
        timeout: Duration? = nil, returning: Output.Type = Output.self
    ) async throws -> GroupResults<Output> {
        let arguments = PythonArguments(positional: arguments, keywords: kw)
        return try await each { python, _ in try await python.call(function, arguments, timeout) }
    }

    /// Runs a line of shell in every member; see ``Group/run(_:options:accepting:onLine:)``.
    ///
    /// - Throws: as ``Group/call(_:timeout:)``.
    @discardableResult
    public func run(
        _ command: String, options: CommandOptions = .init(), accepting: Set<Int32>? = [0],
        onLine: (@Sendable (GroupMember, OutputLine) async throws -> Void)? = nil
    ) async throws -> GroupResults<CommandResult> {
        try await each { python, member in
            try await python.run(command, options: options, onLine: lines(of: member, onLine)).accepted(accepting)
        }
    }

    /// Copies a file to every member; `{host}` stands for its name in both paths.
    ///
    /// - Throws: as ``Group/call(_:timeout:)``.
    @discardableResult
    public func put(
        _ local: some PathName, to path: some PathName, mode: UInt32? = nil
    ) async throws -> GroupResults<Void> {
        let (source, target) = (MemberTemplate(local), MemberTemplate(path))
        return try await each { python, member in
            try await python.put(source.path(for: member), to: target.path(for: member), mode: mode)
        }
    }

    /// Copies a file of every member to this machine, each to a place of its own: `logs/{host}.log`.
    ///
    /// - Throws: as ``Group/get(_:to:options:onProgress:)``.
    @discardableResult
    public func get(
        _ path: some PathName, to local: some PathName, mode: UInt32? = nil
    ) async throws -> GroupResults<Void> {
        let (source, target) = (MemberTemplate(path), MemberTemplate(local))
        _ = try target.paths(for: group)
        return try await each { python, member in
            try await python.get(source.path(for: member), to: target.path(for: member), mode: mode)
        }
    }

    /// Does something with every member's context, each at its own pace.
    ///
    /// - Throws: as ``Group/each(onResult:_:)``.
    @discardableResult
    public func each<Value: Sendable>(
        _ body: @escaping @Sendable (PythonContext, GroupMember) async throws -> Value
    ) async throws -> GroupResults<Value> {
        let runtime = runtime
        return try await FleetRun<PythonContext, Value>(
            group, by: { $0.python(runtime) }, steps: [body], timings: { $0.timings }
        ).run()
    }
}
