// Draws /openapi.json: every operation with its parameters, bodies and a form to try it.
'use strict'

let doc, token = ''
const methods = ['get', 'post', 'put', 'patch', 'delete']

// el makes an element; text is always text, never markup.
function el(name, attributes = {}, ...children) {
  const e = document.createElement(name)
  for (const [k, v] of Object.entries(attributes)) {
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v)
    else if (v !== undefined && v !== false) e.setAttribute(k, v === true ? '' : v)
  }
  e.append(...children.filter(c => c !== undefined && c !== null && c !== ''))
  return e
}

function resolve(schema) {
  while (schema && schema.$ref) schema = doc.components.schemas[schema.$ref.split('/').pop()]
  return schema || {}
}

const typeOf = s => [].concat(s.type || 'any').filter(t => t !== 'null')[0] || 'any'

// words tells a schema's type and bounds in one line.
function words(s) {
  s = resolve(s)
  const t = typeOf(s)
  const out = [t === 'array' ? `list of ${words(s.items)}` : t + (s.format ? ` (${s.format})` : '')]
  if (s.enum) out.push('one of ' + s.enum.join(', '))
  for (const [k, sign] of [['minimum', '≥'], ['maximum', '≤'], ['minLength', 'length ≥'], ['maxLength', 'length ≤'], ['minItems', 'items ≥'], ['maxItems', 'items ≤']])
    if (s[k] !== undefined) out.push(`${sign} ${s[k]}`)
  if (s.default !== undefined) out.push('default ' + JSON.stringify(s.default))
  if (s.description) out.push(s.description)
  return out.join('; ')
}

// example makes a value that shows a schema's shape.
function example(s, depth = 0) {
  s = resolve(s)
  if (s.examples) return s.examples[0]
  if (s.default !== undefined) return s.default
  if (s.enum) return s.enum[0]
  switch (typeOf(s)) {
    case 'object': return depth > 5 ? {} : Object.fromEntries(Object.entries(s.properties || {}).map(([k, v]) => [k, example(v, depth + 1)]))
    case 'array': return depth > 5 ? [] : [example(s.items, depth + 1)]
    case 'integer': case 'number': return s.minimum || 0
    case 'boolean': return false
    case 'string': return s.format === 'date-time' ? new Date().toISOString() : s.format === 'uuid' ? '00000000-0000-7000-8000-000000000000' : ''
  }
  return null
}

const pretty = v => JSON.stringify(v, null, 2)
const contentOf = o => Object.entries((o && o.content) || {})[0] || []

function access(op) {
  if (!op.security || !op.security.length) return 'public'
  return op.security.map(s => Object.entries(s).map(([k, v]) => k === 'apiKey' ? 'device: ' + v : v.length ? v.join(', ') : 'any user')).join(' or ')
}

function parameters(op) {
  const inputs = {}
  const rows = (op.parameters || []).filter(p => p.in !== 'cookie').map(p => {
    inputs[p.in + ':' + p.name] = el('input', { 'aria-label': p.name })
    return el('tr', {}, el('td', {}, el('code', {}, p.name), p.required ? ' *' : ''), el('td', {}, p.in), el('td', {}, words(p.schema)), el('td', {}, inputs[p.in + ':' + p.name]))
  })
  const table = rows.length ? el('table', {}, el('tr', {}, ...['name', 'in', 'what', 'try'].map(h => el('th', {}, h))), ...rows) : ''
  return { inputs, table }
}

function responses(op) {
  return Object.entries(op.responses || {}).map(([status, r]) => {
    const [, media] = contentOf(r)
    return el('div', {}, el('h4', {}, `${status} ${r.description || ''}`), media && media.schema && status !== 'default' ? el('pre', {}, pretty(example(media.schema))) : '')
  })
}

async function send(method, path, op, inputs, body, out) {
  const headers = token ? { Authorization: 'Bearer ' + token } : {}
  const query = new URLSearchParams()
  let url = doc.servers[0].url + path
  for (const [key, input] of Object.entries(inputs)) {
    const [where, name] = [key.slice(0, key.indexOf(':')), key.slice(key.indexOf(':') + 1)]
    if (where === 'path') url = url.replace(`{${name}}`, encodeURIComponent(input.value))
    else if (input.value && where === 'query') query.set(name, input.value)
    else if (input.value && where === 'header') headers[name] = input.value
  }
  if ([...query].length) url += '?' + query
  let payload
  if (body && body.type === 'file') {
    payload = new FormData()
    if (body.files[0]) payload.append(body.name, body.files[0])
  } else if (body) {
    headers['Content-Type'] = 'application/json'
    payload = body.value
  }
  out.textContent = '...'
  try {
    const r = await fetch(url, { method: method.toUpperCase(), headers, body: payload })
    const text = await r.text()
    let shown = text
    try { shown = pretty(JSON.parse(text)) } catch { /* not JSON: shown as it is */ }
    out.textContent = `${r.status} ${r.statusText}\n${[...r.headers].map(h => h.join(': ')).join('\n')}\n\n${shown}`
  } catch (e) { out.textContent = String(e) }
}

function operation(method, path, op) {
  const { inputs, table } = parameters(op)
  const [type, media] = contentOf(op.requestBody)
  let body
  if (type === 'multipart/form-data') body = el('input', { type: 'file', name: Object.keys(resolve(media.schema).properties)[0] })
  else if (media) { body = el('textarea', { rows: 8, 'aria-label': 'body' }); body.value = pretty(example(media.schema)) }
  const fields = media ? Object.entries(resolve(media.schema).properties || {}).map(([k, v]) =>
    el('tr', {}, el('td', {}, el('code', {}, k), (resolve(media.schema).required || []).includes(k) ? ' *' : ''), el('td', {}, words(v)))) : []
  const out = el('pre', {})
  return el('details', { 'data-words': `${method} ${path} ${op.summary} ${op.tags}`.toLowerCase() },
    el('summary', {}, el('span', { class: 'method ' + method }, method.toUpperCase()), el('code', {}, path), op.summary || '', el('small', {}, access(op))),
    el('div', { class: 'body' }, op.description ? el('p', {}, op.description) : '', table, fields.length ? el('table', {}, ...fields) : '', body,
      el('p', {}, el('button', { onclick: () => send(method, path, op, inputs, body, out) }, 'Send')), out, ...responses(op)))
}

function draw() {
  document.getElementById('about').replaceChildren(doc.info.description + ' ', el('a', { href: '/openapi.json' }, '/openapi.json'))
  const groups = {}
  for (const [path, item] of Object.entries(doc.paths))
    for (const m of methods) if (item[m]) (groups[(item[m].tags || ['other'])[0]] ||= []).push(operation(m, path, item[m]))
  document.getElementById('operations').replaceChildren(...Object.entries(groups).map(([tag, ops]) => el('section', {}, el('h2', {}, tag), ...ops)))
}

document.getElementById('filter').addEventListener('input', e => {
  for (const d of document.querySelectorAll('details')) d.hidden = !d.dataset.words.includes(e.target.value.toLowerCase())
  for (const s of document.querySelectorAll('section')) s.hidden = !s.querySelector('details:not([hidden])')
})

document.getElementById('login').addEventListener('submit', async e => {
  e.preventDefault()
  const form = new FormData(e.target), who = document.getElementById('who')
  const r = await fetch(doc.servers[0].url + '/auth/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(Object.fromEntries(form)) })
  const answer = await r.json()
  token = r.ok ? answer.token : ''
  if (r.ok) e.target.reset()
  who.textContent = r.ok ? `${answer.user.name} (${answer.user.roles.join(', ')})` : answer.detail
})

fetch('/openapi.json').then(r => r.json()).then(d => { doc = d; draw() }).catch(e => { document.getElementById('about').textContent = String(e) })
