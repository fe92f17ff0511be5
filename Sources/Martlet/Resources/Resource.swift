import MartletWire

/// Something that a context below may have: a Python module, say. What the bytes mean, its provider and its user know.
package struct Resource: Sendable, Codable, Equatable {
    package var name: String
    /// `nil`: there is nothing of that name.
    package var value: [UInt8]?
    /// What whoever wants this is likely to want next, the likeliest first.
    package var related: [String]

    package init(name: String, value: [UInt8]?, related: [String] = []) {
        self.name = name
        self.value = value
        self.related = related
    }
}

extension Resource {
    /// About how much memory it takes, in bytes.
    var weight: Int { 256 + (value?.count ?? 0) + name.utf8.count + related.reduce(0) { $0 + 32 + $1.utf8.count } }
}

/// Where resources come from, in the context whose program offers them. Asking it must execute nothing of theirs.
package protocol ResourceProvider: AnyObject, Sendable {
    /// Finds one. It may block.
    ///
    /// - Parameter known: the names of what the asking context was sent before.
    /// - Throws: what the asking context is told.
    func resource(_ name: String, known: Set<String>) throws(ResourceFailure) -> Resource
}

/// Why a resource cannot be had, other than that there is none.
package struct ResourceFailure: Error {
    package var message: String
    package init(_ message: String) { self.message = message }
}

/// What answers one question: what was asked for, and what is likely to be asked for next.
///
/// Whoever asks is sent each resource once, unless it asks for it by name.
package enum ResourceBundle {
    /// Nothing more is added to what has so many bytes, or so many resources.
    package static let fullSize = 1 << 20
    package static let fullCount = 512

    /// - Parameters:
    ///   - known: what was sent before; what is found is added.
    ///   - find: finds one by name; what it cannot find is left out.
    package static func make(
        _ first: Resource, known: inout Set<String>, find: (String) -> Resource?
    ) -> [Resource] {
        var bundle = [first]
        guard first.value != nil else { return bundle }
        // Who asks for ever would have us remember all that there is.
        if known.count > 16_384 { known = [] }
        known.insert(first.name)
        var size = first.value?.count ?? 0
        var next = 0
        var seen = known
        while next < bundle.count, size < fullSize, bundle.count < fullCount {
            for name in bundle[next].related where seen.insert(name).inserted {
                guard size < fullSize, bundle.count < fullCount else { break }
                guard let found = find(name), let value = found.value, size + value.count <= fullSize else { continue }
                known.insert(name)
                size += value.count
                bundle.append(found)
            }
            next += 1
        }
        return bundle
    }
}
