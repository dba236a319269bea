// What every other subject is compared with: the request goes on as it came, the answer comes back as it is.
export default {
  fetch(request) {
    return fetch(request);
  },
};
